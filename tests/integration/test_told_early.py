"""Commands to a process that has no ring yet: by a control file with its pid and start time."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from lib.paths import COMMAND
from lib.puppet import Puppet
from lib.rings import Process, command, ring_files
from lib.run import environment, run, wait_for
from venvs import Interpreter

# Objects that have the collector run.
WORK = "garbage(60000)"


def told(puppet: Puppet, *words: str) -> Process:
    """The command waits for the answer; the puppet collects meanwhile."""
    puppet.do(WORK)  # it has begun
    line = [str(COMMAND), words[0], "--dir", str(puppet.ring_dir), *words[1:], str(puppet.pid)]
    with subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for("the answer", lambda: (puppet.do(WORK), process.poll())[1] is not None)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b""), out
    shown = puppet.shown()
    assert shown is not None
    return shown


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def own_file(puppet: Puppet, start: int | None = None) -> Path:
    assert puppet.ring_dir
    directory = puppet.ring_dir / f"gcpreload-{os.geteuid()}"
    return directory / f"{puppet.pid}.{start or start_time(puppet.pid)}.ctl"


@pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])
def test_ready(server_python: Interpreter, mode: str, ring_dir: Path) -> None:
    with Puppet(server_python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        assert ring_files(ring_dir) == []
        shown = told(puppet, "ready")
        assert (shown.mode, shown.state, shown.fired) == (mode, "ready", "by gcpreload ready")
        assert puppet.frozen()


@pytest.mark.parametrize(
    ("words", "mode", "state"),
    [
        (["set", "mode=concurrent"], "concurrent", "ready"),
        (["set", "mode=observe"], "observe", "observing"),
        (["set", "mode=off"], "off", "off"),
        (["thaw"], "freeze", "observing"),
    ],
    ids=str,
)
def test_modes(
    system_python: Interpreter, words: list[str], mode: str, state: str, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        shown = told(puppet, *words)
        assert (shown.mode, shown.state) == (mode, state)
        assert puppet.frozen() == (state == "ready")
        # Later ones go the way of all.
        shown = told(puppet, "set", "mode=freeze")
        assert (shown.mode, shown.state) == ("freeze", "ready")


def test_what_is_in_force_counts_too(system_python: Interpreter, ring_dir: Path) -> None:
    """For a service, or for all: that alone makes nothing ready."""
    command("set", "--dir", ring_dir, "--all", "mode=concurrent")
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do("import time", "end = time.monotonic() + 5")
        puppet.do(f"while time.monotonic() < end:\n    {WORK}\n    time.sleep(0.1)")
        assert puppet.shown() is None
        assert told(puppet, "ready").mode == "concurrent"


def test_no_answer_yet(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do(WORK)
        words = ["--dir", ring_dir, str(puppet.pid)]
        done = command("ready", "--timeout", "0", *words)
        assert done.returncode == 1
        assert b"no answer yet" in done.stderr
        done = command("ready", "--no-wait", *words)
        assert (done.returncode, done.stderr) == (0, b"")
        assert puppet.wait_for("ready", WORK).fired == "by gcpreload ready"
        listed = command("set", "--list", "--json", "--dir", ring_dir)
        assert json.loads(listed.stdout) == []


def test_a_mode_is_listed(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        told(puppet, "set", "mode=idle")
        (row,) = json.loads(command("set", "--list", "--json", "--dir", ring_dir).stdout)
        assert (row["for"], row["pid"], row["mode"]) == ("process", puppet.pid, "idle")


UNTRUSTED = {
    "writable by others": lambda puppet: (own_file(puppet), 0o622),
    "of another process": lambda puppet: (own_file(puppet, start_time(puppet.pid) + 1), 0o600),
}


@pytest.mark.parametrize("why", UNTRUSTED)
def test_what_is_not_taken(system_python: Interpreter, why: str, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        path, mode = UNTRUSTED[why](puppet)
        path.parent.mkdir(0o700)
        path.write_text("gcpreload-control 1 1 ready\n")
        path.chmod(mode)
        puppet.do("import time", "end = time.monotonic() + 5")
        puppet.do(f"while time.monotonic() < end:\n    {WORK}\n    time.sleep(0.1)")
        assert puppet.shown() is None
        assert not puppet.frozen()
        assert puppet.errors() == ""
        path.unlink()
        assert told(puppet, "ready").state == "ready"


BLOCKED = """
import ctypes, gc, os, threading
keep = [[i] for i in range(50000)]
def work():
    while gc.get_freeze_count() < 50000:
        for _ in range(2000):
            cycle = []
            cycle.append(cycle)
    os.write(1, b"frozen")
    os._exit(0)
threading.Thread(target=work, daemon=True).start()
os.write(1, b".")
ctypes.CDLL(None).sleep(1000)
"""


def test_a_main_thread_in_c(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with subprocess.Popen(
        [one_of_two_pythons.path, "-c", BLOCKED],
        env=environment(ring_dir, GCPRELOAD_MODE="freeze"),
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.read(1) == b"."
            words = ["ready", "--no-wait", "--dir", ring_dir, str(process.pid)]
            assert run([COMMAND, *words], environment()).returncode == 0
            assert process.stdout.read() == b"frozen"
        finally:
            process.kill()
