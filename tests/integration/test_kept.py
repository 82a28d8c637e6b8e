"""scripts/kept.py: what is started by it ends when its starter is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kept import Kept, session
from lib.paths import APPS, DEADLINE, ROOT
from lib.run import environment, wait_for
from lib.server import children
from venvs import Interpreter, venv

# Says its server's pid, then waits for what comes.
STARTER = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from kept import Kept
log = open(sys.argv[1], "wb")
kept = Kept(
    sys.argv[3:], os.environ, cwd={str(APPS)!r}, stdout=log, stderr=log, removed=sys.argv[2]
)
print(kept.pid, flush=True)
sys.stdin.read()
kept.end()
"""


@contextmanager
def started(tmp_path: Path, *command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The starter, and the pid of what it started."""
    (tmp_path / "removed").mkdir()
    words = [sys.executable, "-c", STARTER, tmp_path / "log", tmp_path / "removed", *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment(), stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdout
        leader = int(starter.stdout.readline())
        try:
            yield starter, leader
        finally:
            starter.kill()


def gone(leader: int) -> None:
    wait_for("its end", lambda: not session(leader))


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_server_and_its_workers_end_when_the_starter_is_killed(
    kind: str, system_python: Interpreter, tmp_path: Path
) -> None:
    command = [venv("gunicorn", system_python), "-m", "gunicorn", "-b", "127.0.0.1:0"]
    with started(tmp_path, *command, "-w", "2", "-k", kind, "wsgi:app") as (starter, leader):
        wait_for("its workers", lambda: len(children(leader)) == 2)
        assert len(session(leader)) == 3, "the guard is none of them"
        starter.kill()
        gone(leader)
    wait_for("the directory's end", lambda: not (tmp_path / "removed").exists())


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    """It ignores SIGTERM, and so does its child, whose parent is gone."""
    deaf = "trap '' TERM; (sh -c 'while :; do sleep 1; done' &); while :; do sleep 1; done"
    with started(tmp_path, "sh", "-c", deaf) as (starter, leader):
        wait_for("both", lambda: len(session(leader)) >= 2)
        starter.kill()
        gone(leader)


def test_workers_end_whose_master_is_gone(tmp_path: Path) -> None:
    with started(tmp_path, "sh", "-c", "sleep 1000 & sleep 1000") as (starter, leader):
        wait_for("all", lambda: len(session(leader)) == 3)
        os.kill(leader, signal.SIGKILL)
        wait_for("its end", lambda: leader not in session(leader))
        assert len(session(leader)) == 2
        starter.kill()
        gone(leader)


def test_it_ends_when_it_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "sh", "-c", "sleep 1000 & sleep 1000") as (starter, leader):
        wait_for("all", lambda: len(session(leader)) == 3)
        starter.communicate(timeout=DEADLINE)
        assert starter.returncode == 0
        gone(leader)
    assert (tmp_path / "removed").exists(), "the starter removes it itself, or keeps it"


def test_the_command_has_what_was_meant_for_it(tmp_path: Path) -> None:
    """Its pid, its environment, and no descriptor more; and it sees no child."""
    code = (
        "import os; print(os.getpid(), os.environ['LD_NONSENSE'], os.environ['GCPRELOAD_DIR'],"
        "os.environ['PYTHONPATH'], sorted(map(int, os.listdir('/proc/self/fd')))[:-1])\n"
        "try: os.wait()\nexcept ChildProcessError: print('no child')"
    )
    log = tmp_path / "log"
    env = environment(LD_NONSENSE="a b=c", GCPRELOAD_DIR="/d", PYTHONPATH="/p")
    with log.open("wb") as output:
        kept = Kept([sys.executable, "-c", code], env, stdout=output)
        assert kept.wait(DEADLINE) == 0
        kept.end()
        kept.end()
    said, child = log.read_text().splitlines()
    assert said == f"{kept.pid} a b=c /d /p [0, 1, 2]"
    assert child == "no child"


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        kept = Kept(["/no/such/program"], environment(), stderr=output)
        assert kept.wait(DEADLINE) == 1
        kept.end()
    assert (tmp_path / "log").read_text() == "/no/such/program: No such file or directory\n"
