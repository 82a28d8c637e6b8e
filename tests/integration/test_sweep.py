"""What dead processes leave is bounded: each new ring sweeps the directory."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from lib.paths import APPS
from lib.rings import command, ps, ring_files
from lib.run import environment, run
from lib.server import gunicorn
from venvs import Interpreter

DEAD = 100
MAY_STAY = 32  # ring/file.c


def test_the_dead_are_bounded(server_python: Interpreter, ring_dir: Path) -> None:
    app = [server_python.path, APPS / "ready_once.py"]
    assert run(app, environment(ring_dir)).returncode == 0
    (place,) = ring_dir.iterdir()
    (ring,) = place.iterdir()
    content = ring.read_bytes()
    ring.unlink()
    for number in range(DEAD):
        dead = place / f"{100000 + number}.{number + 1}.{number:08x}"
        dead.write_bytes(content)
        os.utime(dead, (1_700_000_000 + number, 1_700_000_000 + number))
    strange = place / "notes.txt"
    strange.write_text("mine")
    with gunicorn(server_python, ring_dir, workers=2) as server:
        server.workers_in_state("ready", ring_dir, 2)
        living = [process.file for process in ps(ring_dir)]
        left = [path for path in ring_files(ring_dir) if path != strange]
        assert len(left) <= MAY_STAY + len(living)
        assert all(Path(file).exists() for file in living)
        assert strange.read_text() == "mine"


KILLED_IN_A_COLLECTION = """
import glob, os, select, signal, socket, sys, time

class Node:
    def __init__(self): self.me = self

class Last(Node):
    def __del__(self):
        if glob.glob(sys.argv[1] + '/*/.family.*'): os.kill(os.getpid(), signal.SIGKILL)

listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
epoll = select.epoll(); epoll.register(listener, select.EPOLLIN)
while True:
    for i in range(3000): Node()
    Last(); epoll.poll(0.01)
"""


def locks(ring_dir: Path) -> list[Path]:
    return list(ring_dir.glob("*/.family.*"))


def killed(python: Interpreter, ring_dir: Path) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE="idle")
    done = run([python.path, "-c", KILLED_IN_A_COLLECTION, ring_dir], env)
    assert done.returncode == -signal.SIGKILL
    assert len(locks(ring_dir)) == 1


def test_the_lock_of_a_killed_process_is_removed(python: Interpreter, ring_dir: Path) -> None:
    killed(python, ring_dir)
    (lock,) = locks(ring_dir)
    with lock.open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert locks(ring_dir) == [lock]
    assert lock.name in command("clean", "-n", "--dir", ring_dir).stdout.decode()
    assert locks(ring_dir) == [lock]
    assert lock.name in command("clean", "--dir", ring_dir).stdout.decode()
    assert locks(ring_dir) == []


def test_a_new_ring_sweeps_locks(python: Interpreter, ring_dir: Path) -> None:
    killed(python, ring_dir)
    assert run([python.path, APPS / "ready_once.py"], environment(ring_dir)).returncode == 0
    assert locks(ring_dir) == []
