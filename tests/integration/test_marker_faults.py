"""What a marker cannot do to its program, whatever becomes of it: descriptors, children, signals,
and extension modules that misbehave in it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib.marker import (
    CLOSE,
    CRASH,
    FORK,
    OPEN,
    PHASES,
    SIGNAL,
    SPIN,
    WRITE,
    Marked,
    is_there,
    markers,
    old_garbage,
    old_garbage_goes,
    side_by_side,
    stat_of,
)
from lib.paths import DEADLINE
from lib.run import wait_for
from lib.server import children
from venvs import Interpreter


@pytest.fixture
def marked(server_python: Interpreter, ring_dir: Path) -> Iterator[Marked]:
    with Marked(server_python, ring_dir) as puppet:
        yield puppet.becomes_ready()


@pytest.fixture
def marked_once(system_python: Interpreter, ring_dir: Path) -> Iterator[Marked]:
    with Marked(system_python, ring_dir) as puppet:
        yield puppet.becomes_ready()


@contextmanager
def connected(puppet: Marked) -> Iterator[socket.socket]:
    """The other end of a connection that the program has as peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        puppet.do(f"peer = socket.create_connection({listener.getsockname()})")
        with listener.accept()[0] as other:
            other.settimeout(DEADLINE)
            yield other


# ---- descriptors ----


def test_a_connection_closed_during_a_mark_ends(marked: Marked) -> None:
    """For its peer, at once, and for the program's epoll."""
    with connected(marked) as other:
        marked.do("ep = select.epoll()", "ep.register(peer.fileno(), select.EPOLLIN)")
        marker = marked.hold()
        other.sendall(b"more")
        assert marked.do("len(ep.poll(10))") == 1
        marked.do("number = peer.fileno()", "peer.close()")
        # Not read to its end by the program: the kernel says so with a reset.
        with pytest.raises(ConnectionResetError):
            assert other.recv(1), "FIN"
            other.recv(1)
        assert marked.do("ep.poll(0)") == []
        assert is_there(marker)
    with connected(marked) as other:
        assert marked.do("peer.fileno() == number"), "its number is free"
        marked.do("peer.close()")
        assert other.recv(1) == b""
        assert is_there(marker)


def test_a_mark_costs_no_descriptor(marked: Marked) -> None:
    """Those that the program opens have the numbers that they would have without."""
    before = marked.do("descriptors()")
    marker = marked.hold()
    assert marked.do("descriptors()") == before
    opened = marked.do("new = [os.dup(0) for _ in range(3)]", "new")
    assert opened == sorted(set(range(max(before) + 4)) - set(before))[:3]
    marked.do("[os.close(fd) for fd in new]")
    marked.release(marker)
    marked.marks_go_on()
    marked.hold()
    assert marked.do("descriptors()") == before


# ---- children ----

WAITS = [
    "os.waitpid(-1, os.WNOHANG)",
    "os.waitpid(-1, 0)",
    "os.wait()",
    "os.wait3(os.WNOHANG)",
    "os.wait4(-1, 0)",
    "os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)",
]
NOBODY_TO_WAIT_FOR = """
def nobody(wait):
    try:
        return repr(eval(wait))
    except ChildProcessError:
        return "nobody"
CAUGHT = []
import signal
signal.signal(signal.SIGCHLD, lambda *_: CAUGHT.append(1))
"""
REAL_CHILDREN = """
import subprocess, multiprocessing
def real():
    fork = multiprocessing.get_context("fork")
    with fork.Pool(2) as pool:
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]
    assert subprocess.check_output(["echo", "a"]) == b"a\\n"
    return subprocess.call(["sh", "-c", "exit 3"], preexec_fn=os.getpid)
"""


def test_the_program_has_no_child(marked: Marked) -> None:
    """None to wait for and no signal, while a marker runs, when it ends, and when it is killed."""
    marked.do(NOBODY_TO_WAIT_FOR)
    marker = marked.hold()
    assert {marked.do(f"nobody({wait!r})") for wait in WAITS} == {"nobody"}
    marked.release(marker)
    # A zombie now, as long as nobody of ours has looked.
    assert stat_of(marker)[0] == "Z"
    assert {marked.do(f"nobody({wait!r})") for wait in WAITS} == {"nobody"}
    marked.marks_go_on()
    os.kill(marked.hold(), signal.SIGKILL)
    marked.until("the failure", marked.failed)
    assert {marked.do(f"nobody({wait!r})") for wait in WAITS} == {"nobody"}
    assert marked.do("CAUGHT") == []


def test_the_programs_own_children(marked: Marked) -> None:
    """Beside a marker that stays, and beside marks that follow each other."""
    marked.do(REAL_CHILDREN)
    marker = marked.hold()
    assert marked.do("real()") == 3
    assert is_there(marker)
    marked.release(marker)
    marked.marks_go_on()
    for _ in range(5):
        marked.do("one_collection()")
        assert marked.do("real()") == 3
    assert marked.failed() == []


def test_one_marker_at_a_time_and_none_in_the_end(marked: Marked) -> None:
    seen: list[int] = []

    def look() -> bool:
        seen.append(len(children(marked.pid)))
        return marked.swept() >= 20

    marked.until("20 marks", look)
    assert max(seen) <= 1
    last = marked.hold()
    assert marked.end() == 0
    assert stat_of(last) == [], "who would reap it?"


# ---- ends of a marker ----


def test_a_marker_is_killed(server_python: Interpreter, ring_dir: Path) -> None:
    """In each phase."""
    with side_by_side(server_python, ring_dir, len(PHASES)) as puppets:
        for puppet, at in zip(puppets, PHASES):
            old_garbage(puppet)
            os.kill(puppet.hold(at), signal.SIGKILL)
            puppet.latch.go_on()
            puppet.until("a failed mark", puppet.failed)
            assert "killed, or crashed" in puppet.failed()[0]
            assert markers(puppet.pid) == []
        for puppet in puppets:
            old_garbage_goes(puppet)
            assert len(puppet.failed()) == 1


@pytest.mark.parametrize("at", PHASES)
def test_a_marker_crashes(system_python: Interpreter, ring_dir: Path, at: int) -> None:
    """In the traverse of an extension module. The program's handlers are not for it."""
    with Marked(system_python, ring_dir, extra={"PYTHONFAULTHANDLER": "1"}) as marked:
        old_garbage(marked.becomes_ready())
        marked.latch.set(CRASH, at)
        marked.until("a failed mark", marked.failed)
        marked.latch.go_on()
        old_garbage_goes(marked)
        assert "Segmentation" not in marked.errors(), "faulthandler's"
        assert len(marked.failed()) == 1


def test_the_next_mark_after_a_failure_waits(marked_once: Marked) -> None:
    """A second; longer after each that fails in turn."""
    marked_once.do("import time")
    marked_once.marks_go_on()
    marked_once.latch.set(CRASH)
    marked_once.until("a first failure", marked_once.failed)
    marked_once.do("first = time.monotonic()")
    marked_once.until("the next", lambda: len(marked_once.failed()) == 2)
    assert marked_once.do("time.monotonic() - first") >= 0.9
    assert marked_once.latch.came() == 2


def test_signals_to_the_group_do_not_reach_it(marked_once: Marked) -> None:
    """A terminal's, or those of a supervisor."""
    marked_once.do("import signal, threading", "GOT = []")
    marked_once.do("for n in (2, 10, 15): signal.signal(n, lambda *a: GOT.append(a[0]))")
    marker = marked_once.hold()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
        os.kill(marker, number)
        os.kill(marked_once.pid, number)
    wait_for("the program's own", lambda: marked_once.do("sorted(GOT) == [2, 10, 15]"))
    marked_once.release(marker)
    marked_once.marks_go_on(1)
    assert marked_once.failed() == []
    assert marked_once.do("sorted(GOT)") == [2, 10, 15]


# ---- extension modules ----


def test_a_marker_that_loops_is_ended_by_the_kernel(marked_once: Marked) -> None:
    """After a minute of processor time; a test shortens it."""
    old_garbage(marked_once)
    marker = marked_once.hold(does=SPIN)
    limits = Path(f"/proc/{marker}/limits").read_text()
    (line,) = [line.split() for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert line[3:5] == ["60", "60"]
    resource = "import resource; resource.prlimit"
    marked_once.do(f"{resource}({marker}, resource.RLIMIT_CPU, (1, 1))")
    marked_once.until("its end", marked_once.failed)
    assert "killed" in marked_once.failed()[0]
    marked_once.latch.go_on()
    old_garbage_goes(marked_once)


CALLS = {"write": WRITE, "close": CLOSE, "open": OPEN, "kill": SIGNAL, "fork": FORK}


def test_a_system_call_in_a_traverse(system_python: Interpreter, ring_dir: Path) -> None:
    """Ends the marker before it is made."""
    with side_by_side(system_python, ring_dir, len(CALLS)) as puppets:
        for puppet, call in zip(puppets, CALLS):
            puppet.do("r, w = os.pipe()", "os.set_blocking(r, False)", "before = descriptors()")
            puppet.latch.set(CALLS[call], 1, puppet.do("w"))
            puppet.until("a failed mark", puppet.failed)
            puppet.latch.go_on()
            assert "killed, or crashed" in puppet.failed()[0], call
        for puppet, call in zip(puppets, CALLS):
            assert puppet.do("descriptors() == before"), call
            assert puppet.do("os.write(w, b'mine')") == 4
            assert puppet.do("os.read(r, 100).decode()") == "mine", call
            assert children(puppet.pid) == [], call
            puppet.marks_go_on(1)
