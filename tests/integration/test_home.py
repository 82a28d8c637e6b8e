"""Modes idle and concurrent in a process that no socket serves by: it collects in the wait in
which it spends most of its time, and in no other."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from lib.paths import APPS
from lib.run import environment, run, shared_library, wait_for
from lib.waiting import Waiting, waiting
from venvs import Interpreter, supported_interpreters

HOME = APPS / "home_waits.py"
IDLE = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_TRIGGER": "delay:0"}
WAYS = ["select", "poll", "epoll", "time-out", "asyncio", "recv", "recvfrom", "read", "sleep"]
ENOUGH = 3  # collections
LONG = 120  # rounds, more than twice the time after which a wait may be home
AT_ONCE = 15  # seconds, of a wait of thirty


def hears(process: Waiting) -> dict[str, Any]:
    line = process.says()
    assert line, f"it ended with {process.end()}"
    said: dict[str, Any] = json.loads(line)
    return said


def collects_at_home(process: Waiting) -> None:
    def look() -> bool:
        said = hears(process)
        assert said["job"] == 0, said
        return said["home"] >= ENOUGH

    wait_for("collections at home", look)
    assert process.idle_collections() >= ENOUGH
    for _ in range(5):
        assert hears(process)["job"] == 0


Case = tuple[Interpreter, str]


def all_collect_at_home(cases: list[Case], ring_dir: Path, **settings: str) -> None:
    """Side by side: it takes five seconds until a wait is home, and they do little else."""
    with contextlib.ExitStack() as stack:
        started = {
            f"{way} on {python}": stack.enter_context(
                waiting(ring_dir, [python.path, HOME, way], **{**IDLE, **settings})
            )
            for python, way in cases
        }
        for name, process in started.items():
            try:
                collects_at_home(process)
            except AssertionError as error:
                raise AssertionError(name) from error


def test_collects_at_home(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    all_collect_at_home([(one_of_two_pythons, way) for way in WAYS], ring_dir)


def test_collects_at_home_in_each_python(ring_dir: Path) -> None:
    all_collect_at_home([(python, "time-out") for python in supported_interpreters()], ring_dir)


def test_collects_at_home_beside_a_marker(system_python: Interpreter, ring_dir: Path) -> None:
    all_collect_at_home([(system_python, "time-out")], ring_dir, GCPRELOAD_MODE="concurrent")


def test_a_librarys_wait_is_no_home(
    one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Under its mutex: who takes the GIL there never comes back."""
    python = one_of_two_pythons
    library = shared_library("extension", tmp_path)
    with waiting(ring_dir, [python.path, HOME, "mutex", library], **IDLE) as process:
        wait_for("rounds", lambda: hears(process)["rounds"] >= LONG)
        assert process.is_ready()
        assert process.idle_collections() == 0


def test_a_handler_raises_out_of_the_home_wait(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    python = one_of_two_pythons
    with waiting(ring_dir, [python.path, HOME, "signals"], **IDLE) as process:
        assert hears(process)["took"] < AT_ONCE


def test_mode_freeze_has_no_home(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {**IDLE, "GCPRELOAD_MODE": "freeze"}
    with waiting(ring_dir, [system_python.path, HOME, "poll"], **settings) as process:
        wait_for("rounds", lambda: hears(process)["rounds"] >= LONG)
        assert process.is_ready()
        assert process.idle_collections() == 0


def test_a_finalizer_wakes_asyncio_at_home(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    """No timer is pending and nothing else comes: the wait has no end."""
    python = one_of_two_pythons
    garbage = "garbage = [[] for _ in range(100000)]"  # what is due is done after a collection
    program = f"{garbage}; import runpy, sys; del garbage; sys.argv = sys.argv[1:]; "
    program += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [python.path, "-W", "ignore", "-c", program, APPS / "finalizer_loop.py"]
    done = run([*command, "asyncio", "home"], environment(ring_dir, **IDLE))
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)
