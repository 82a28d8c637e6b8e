"""Listening sockets that a process was given: by a service manager, by the program that was there
before an exec, by its parent."""

from __future__ import annotations

from pathlib import Path

from lib.paths import APPS
from lib.puppet import Puppet, collections_of
from test_prefork import FORK
from venvs import Interpreter

# Becomes the puppet, with a socket that listens.
GIVES = """
import os, socket, sys
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen(5)
os.dup2(one.fileno(), 9)
os.execv(sys.executable, [sys.executable, sys.argv[1]])
"""
GIVEN = "import socket\ngiven = socket.fromfd(9, socket.AF_INET, socket.SOCK_STREAM)\nos.close(9)"


def puppet_with_socket(python: Interpreter, ring_dir: Path) -> Puppet:
    program = [python.path, "-c", GIVES, APPS / "puppet.py"]
    return Puppet(python, ring_dir, program=program, GCPRELOAD_MODE="freeze")


def test_one_that_was_duplicated_after_a_fork(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    """gunicorn's new master does so; an application may have forked before that."""
    with puppet_with_socket(one_of_two_pythons, ring_dir) as puppet:
        puppet.do(FORK, "fork()")
        assert collections_of(puppet.shown(), "prefork") == 1
        puppet.do(GIVEN, "keep(200000)", "fork()")
        assert collections_of(puppet.shown(), "prefork") == 2


def test_one_that_was_closed(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with puppet_with_socket(one_of_two_pythons, ring_dir) as puppet:
        puppet.do(FORK, "fork()", "os.close(9)", "keep(200000)", "fork()")
        assert collections_of(puppet.shown(), "prefork") == 1


def test_a_wait_on_a_set(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with puppet_with_socket(one_of_two_pythons, ring_dir) as puppet:
        puppet.do("epoll = select.epoll()", "epoll.register(9, select.EPOLLIN)")
        puppet.do("epoll.poll(0)")
        shown = puppet.shown()
        assert (shown.state, shown.fired) == ("ready", "auto: epoll")
        assert shown.frozen_objects >= 20000


SET_OF_PARENT = """
one = listen()
epoll = select.epoll()
epoll.register(one, select.EPOLLIN)
def worker():
    pid = os.fork()
    if not pid:
        epoll.poll(0)
        os._exit(0 if gc.get_freeze_count() >= HEAP_SIZE else 3)
    return os.waitpid(pid, 0)[1] >> 8
"""


def test_a_wait_on_a_set_of_the_parent(python: Interpreter, ring_dir: Path) -> None:
    """Nobody in the child has listened, or added the socket to the set."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do(SET_OF_PARENT)
        assert puppet.do("worker()") == 0


ANOTHER_SET = """
other = select.epoll()
def worker():
    pid = os.fork()
    if not pid:
        for _ in range(200):
            other.poll(0.001)
        os._exit(0 if gc.get_freeze_count() < HEAP_SIZE else 3)
    return os.waitpid(pid, 0)[1] >> 8
"""


def test_a_wait_on_another_set(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """A job's child inherits the server's socket, and does not serve."""
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do(SET_OF_PARENT, ANOTHER_SET)
        assert puppet.do("worker()") == 0
