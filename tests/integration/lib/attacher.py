"""`gcpreload attach` and `detach`, and programs to attach to."""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from venvs import Interpreter

from lib.paths import COMMAND, DEADLINE
from lib.run import Completed, environment, run

KILLED = -9


def attach(pid: int, *words: str | Path, verb: str = "attach") -> Completed[bytes]:
    timeout = str(int(DEADLINE / 2))
    return run([COMMAND, verb, "--timeout", timeout, *words, str(pid)], environment())


def outcome(done: Completed[bytes]) -> dict[str, Any]:
    """Of --json."""
    assert done.stderr == b"", done.stderr
    return json.loads(done.stdout)


def refusal(done: Completed[bytes]) -> str:
    """The one line that says why not."""
    assert (done.returncode, done.stdout) == (1, b""), done
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("gcpreload: "), line
    return line.partition(": ")[2]


# Each writes a line for each round, of a state that depends on all rounds before it; what is lost
# or done twice would show.
ROUNDS = {
    # A float in a register, nothing but the interpreter's loop.
    "works": """
for n in range(1 << 60):
    x = x * 3.7 * (1 - x)
    if n % 100000 == 0:
        say(n, x)
""",
    # No wait is cut short, or begun anew.
    "sleeps": """
for n in range(1 << 60):
    begun = time.monotonic()
    time.sleep(0.02)
    assert 0.02 <= time.monotonic() - begun + 1e-4
    x = x * 3.7 * (1 - x)
    say(n, x)
""",
    "waits": """
read, write = os.pipe()
poll, epoll = select.poll(), select.epoll()
poll.register(read, 1)
epoll.register(read, 1)
def wait():
    return select.select([read], [], [], 0.01)[0]
waits = (lambda: poll.poll(10), lambda: epoll.poll(0.01), wait)
for n in range(1 << 60):
    begun = time.monotonic()
    assert not waits[n % 3]()
    assert 0.01 <= time.monotonic() - begun + 1e-3
    x = x * 3.7 * (1 - x)
    say(n, x)
""",
    # The main thread waits for another that works.
    "threads": """
def work():
    y = 0.5
    while True:
        y = y * 3.7 * (1 - y)
threading.Thread(target=work, daemon=True).start()
for n in range(1 << 60):
    threading.Event().wait(0.005)
    x = x * 3.7 * (1 - x)
    say(n, x)
""",
    # Sub-interpreters live, and one runs code in turn.
    "interpreters": """
try:
    import _interpreters as _sub
except ImportError:
    import _xxsubinterpreters as _sub
inner = _sub.create()
for n in range(1 << 60):
    _sub.run_string(inner, "sum(range(20000))")
    sum(range(20000))
    x = x * 3.7 * (1 - x)
    say(n, x)
""",
}
BEGIN = """
import os, select, sys, threading, time
x = 0.5
def say(n, x):
    os.write(1, ("%d %r\\n" % (n, x)).encode())
"""


@dataclass
class Running:
    """One of ROUNDS."""

    process: subprocess.Popen[bytes]
    count: int = 0
    state: float = 0.5

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self, number: int = 1) -> None:
        """It goes on, and is right."""
        for _ in range(number):
            assert self.process.stdout
            ready = select.select([self.process.stdout], [], [], DEADLINE)[0]
            assert ready, f"it stands still: {self.status()}"
            line = self.process.stdout.readline()
            assert line, f"it ended with {self.process.wait()}"
            n, x = line.split()
            while self.count <= int(n):
                self.state = self.state * 3.7 * (1 - self.state)
                self.count += 1
            assert (self.count - 1, self.state) == (int(n), float(x))

    def status(self) -> dict[str, str]:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def is_left_alone(self) -> None:
        """Not traced, not stopped, no signal held back."""
        status = self.status()
        assert status["TracerPid"] == "0"
        assert status["State"][0] in "RSD"
        assert int(status["SigBlk"], 16) == 0


@contextmanager
def running(python: Interpreter, what: str) -> Iterator[Running]:
    """A program without the library."""
    if what == "interpreters" and python.minor < (3, 8):
        pytest.skip("there is no module for it")
    with subprocess.Popen(
        [python.path, "-c", BEGIN + ROUNDS[what]],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            one = Running(process)
            one.lines()
            yield one
        finally:
            process.kill()


def mapped(pid: int) -> bool:
    return "libgcpreload" in Path(f"/proc/{pid}/maps").read_text()


def memory_of(pid: int) -> int:
    """How many mappings it has."""
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


def become_tracer(pid: int) -> None:
    """This process traces it, until one of them ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize = 0x4206
    assert libc.ptrace(seize, pid, 0, 0) == 0, os.strerror(ctypes.get_errno())
