"""`gcpreload attach`, ended by SIGKILL at any step: the process goes on as if nothing were."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from lib.attacher import KILLED, ROUNDS, attach, running
from lib.run import wait_for
from lib.servers import KINDS, Kind, asking
from venvs import Interpreter

MOST_STEPS = 500
SERVERS = ["gunicorn sync", "gunicorn gthread", "gunicorn gevent", "uvicorn"]


def kill_at_every_step(pid: int, ring_dir: Path, verb: str = "attach") -> int:
    """How many there were: the first time that it gets to its end, it was not killed."""
    words = ["--dir", ring_dir] if verb == "attach" else []
    for step in itertools.count(1):
        done = attach(pid, "--end-behind-step", str(step), *words, verb=verb)
        if done.returncode != KILLED:
            return step - 1
        assert step < MOST_STEPS
        yield_to(pid)
    raise AssertionError


def yield_to(pid: int) -> None:
    """Until it runs again by itself."""

    def look() -> bool:
        text = Path(f"/proc/{pid}/status").read_text()
        return "TracerPid:\t0" in text and "State:\tt" not in text and "State:\tT" not in text

    wait_for("the end of tracing", look)


@pytest.mark.parametrize("what", ROUNDS)
def test_at_every_step(
    one_of_two_pythons: Interpreter, what: str, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    few = what in ("works", "waits") and one_of_two_pythons.minor < (3, 14)
    if not few and not pytestconfig.getoption("--all"):
        pytest.skip("only with --all")
    with running(one_of_two_pythons, what) as target:
        assert kill_at_every_step(target.pid, ring_dir) > 20
        target.lines(5)
        target.is_left_alone()
        done = attach(target.pid, "--dir", ring_dir)
        assert done.returncode == 0 or b"is attached already" in done.stderr
        target.lines(5)
        assert kill_at_every_step(target.pid, ring_dir, "detach") > 20
        target.lines(5)
        target.is_left_alone()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name in SERVERS], ids=str)
def test_a_server_under_load(
    system_python: Interpreter, kind: Kind, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    """No request fails."""
    every = pytestconfig.getoption("--all")
    if not every and kind.name != "gunicorn gthread":
        pytest.skip("only with --all")
    reason = kind.possible(system_python)
    if reason:
        pytest.skip(reason)
    with kind.start(system_python, None) as server, asking(server) as errors:

        def look() -> list[int] | None:
            found = server.workers() if kind.workers else [server.pid]
            return found if len(found) == (kind.workers or 1) else None

        workers = wait_for("its workers", look)[: None if every else 1]
        for pid in workers * (3 if every else 1):
            assert kill_at_every_step(pid, ring_dir) > 20
            done = attach(pid, "--dir", ring_dir)
            assert done.returncode == 0 or b"is attached already" in done.stderr
            assert kill_at_every_step(pid, ring_dir, "detach") > 20
        assert errors == []
        if kind.workers:
            assert set(workers) <= set(server.workers())
