"""A child of a tuned server begins with the interpreter's own collector, however it was made.

It may never wait, and has nobody who collects for it.
"""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import command
from venvs import Interpreter

# What a child answers comes through a pipe: its first deed is to say what it found.
CHILDREN = """
import ctypes, multiprocessing, threading
FORK = multiprocessing.get_context("fork")
C = ctypes.PyDLL(None)
SYS_CLONE, SIGCHLD = 56, 17

def in_child(do, out):
    try:
        os.write(out, json.dumps(do()).encode())
    finally:
        os._exit(0)

def by(fork):
    def ask(do):
        into, out = os.pipe()
        pid = fork()
        if not pid:
            in_child(do, out)
        os.close(out)
        answer = os.fdopen(into).read()
        os.waitpid(pid, 0)
        return json.loads(answer)
    return ask

TERMINALS = []  # closed, they would end the child

def pty():
    pid, terminal = os.forkpty()
    TERMINALS.append(terminal)
    return pid

def process(do):
    into, out = os.pipe()
    child = FORK.Process(target=in_child, args=(do, out))
    child.start()
    os.close(out)
    answer = os.fdopen(into).read()
    child.join()
    return json.loads(answer)

def from_a_thread(do):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(by(os.fork)(do)))
    thread.start()
    thread.join()
    return answers[0]

PYTHONS = {
    "os.fork": by(os.fork),
    "os.forkpty": by(pty),
    "multiprocessing": process,
    "a thread": from_a_thread,
}
OF_C = {
    "fork": by(lambda: C.fork()),
    "clone": by(lambda: C.syscall(SYS_CLONE, SIGCHLD, 0, 0, 0, 0)),
}

def first(children):
    return {how: child(gc.get_threshold) for how, child in children.items()}

def collections():
    return sum(part["collections"] for part in gc.get_stats())

def after_a_collection():
    before = collections()
    while collections() == before:
        garbage(100)
    return gc.get_threshold()

def later(children):
    return {how: child(after_a_collection) for how, child in children.items()}

class Old:
    __slots__ = "me", "__weakref__"
    def __init__(self):
        self.me = self

def rounds_until_old_garbage_is_found():
    # Each lives while 600 000 more are made: no young collection finds it, the server's neither.
    import weakref
    live, first = [], None
    for number in range(120):
        live.append([Old() for _ in range(10000)])
        first = first or weakref.ref(live[0][0])
        del live[:-60]
        if first() is None:
            return number
    return None
"""
MODES = ("freeze", "idle")
modes = pytest.mark.parametrize("mode", MODES)


def of_x86(puppet: Puppet) -> None:
    if platform.machine() != "x86_64":
        puppet.do("del OF_C['clone']")


def tuned(puppet: Puppet) -> list[int]:
    """The thresholds before."""
    own: list[int] = puppet.collector()["thresholds"]
    puppet.do("one = listen()", CHILDREN)
    of_x86(puppet)
    puppet.wait_for("ready", "arm(one)")
    state = puppet.collector()
    assert state["frozen"]
    assert state["thresholds"] != own
    return own


def each(puppet: Puppet) -> list[list[int]]:
    """The thresholds that children of all kinds have: Python's at once, those of C once they
    have collected. All should be the same."""
    at_once: dict[str, list[int]] = puppet.do("first(PYTHONS)")
    assert puppet.do("later(PYTHONS)") == at_once
    found = {**at_once, **puppet.do("later(OF_C)")}
    print(found)
    return [list(one) for one in sorted({tuple(one) for one in found.values()})]


@modes
def test_thresholds(python: Interpreter, mode: str, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        own = tuned(puppet)
        before = puppet.collector()["thresholds"]
        assert each(puppet) == [own]
        assert puppet.collector()["thresholds"] == before, "the parent's are its own"


@modes
def test_thresholds_of_the_application(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path
) -> None:
    """Whether it has been seen yet that they are, or not; one of them is still ours to undo."""
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        own = tuned(puppet)
        puppet.do("gc.set_threshold(gc.get_threshold()[0], 7, gc.get_threshold()[2])")
        assert each(puppet) == [[own[0], 7, own[2]]]
        puppet.wait_for("standing-back", "garbage(60000)", "arm(one)")
        assert each(puppet) == [[own[0], 7, own[2]]]


@modes
def test_thresholds_after_a_thaw(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path
) -> None:
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        own = tuned(puppet)
        command("thaw", "--dir", ring_dir, "--timeout", "0", str(puppet.pid))
        puppet.wait_for("observing", "arm(one)")
        assert each(puppet) == [own]


@modes
def test_full_collections(one_of_two_pythons: Interpreter, mode: str, ring_dir: Path) -> None:
    """As soon as in a plain Python, give or take; not as seldom as in the server."""
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        tuned(puppet)
        for child in ("PYTHONS['os.fork']", "OF_C['fork']"):
            assert puppet.do(f"{child}(rounds_until_old_garbage_is_found)"), child
