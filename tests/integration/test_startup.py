"""GCPRELOAD_STARTUP_GC=0: no automatic collection finds work before the application is ready."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid, counted, wait_for_state
from lib.run import environment, run
from lib.server import HEAP, gunicorn
from lib.servers import own_frozen, own_thresholds
from venvs import Interpreter

OFF = {"GCPRELOAD_STARTUP_GC": "0"}
WATCH = """
import weakref
x = Node()
seen = weakref.ref(x)
del x
garbage(200000)
"""
COLLECTED = "sum(part['collected'] for part in gc.get_stats())"


def test_nothing_is_collected_until_ready(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **OFF) as puppet:
        before = puppet.do("gc.collect()", COLLECTED)
        count = puppet.do("sum(part['collections'] for part in gc.get_stats())")
        puppet.do(WATCH)
        # It goes on ticking, with what the application may read.
        assert puppet.do("sum(part['collections'] for part in gc.get_stats())") > count + 50
        state = puppet.collector()
        assert state["enabled"]
        assert list(state["thresholds"]) == own_thresholds(python)
        assert puppet.do(COLLECTED) == before
        assert puppet.do("seen() is not None")
        puppet.do("one = listen()", "arm(one)")
        shown = puppet.shown()
        assert (shown.state, shown.mode) == ("ready", "freeze")
        assert puppet.do("seen() is None")
        # The recipe's freeze holds what lives, no garbage of the start.
        assert HEAP <= shown.frozen_objects < 200000
        assert shown.counts() == counted(puppet.do("gc.get_stats()"))
        assert collections_of(shown, "ready") == 1


def test_stock_collects_meanwhile(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(WATCH)
        assert puppet.do("seen() is None")


def test_who_collects_on_purpose_finds_all(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **OFF) as puppet:
        puppet.do("gc.collect()", WATCH)
        assert puppet.do("gc.collect()") >= 200000
        assert puppet.do("seen() is None")
        puppet.do(WATCH)  # and it goes on
        assert puppet.do("seen() is not None")


def stands_back(puppet: Puppet, frozen: int) -> None:
    """And leaves frozen what the application froze."""
    puppet.do("one = listen()")
    puppet.wait_for("standing-back", "arm(one)")
    assert puppet.collector()["frozen_objects"] >= frozen


def test_the_application_freezes(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **OFF) as puppet:
        puppet.do(WATCH, "gc.freeze()")
        frozen = puppet.collector()["frozen_objects"]
        assert frozen > 200000
        stands_back(puppet, frozen)


def test_the_application_disables_gc(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **OFF) as puppet:
        puppet.do(WATCH, "gc.disable()")
        assert puppet.collector()["frozen_objects"] <= own_frozen(python)


def test_it_stays_disabled(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """Five seconds: gc may be off for a moment only."""
    with Puppet(one_of_two_pythons, ring_dir, **OFF) as puppet:
        puppet.do(WATCH, "gc.disable()")
        stands_back(puppet, puppet.collector()["frozen_objects"])


@pytest.mark.parametrize("how", ["observe", "off"])
def test_other_modes_leave_the_start_alone(
    system_python: Interpreter, how: str, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE=how, **OFF) as puppet:
        puppet.do(WATCH)
        assert puppet.do("seen() is None")


def test_the_last_collection_finds_all(python: Interpreter, ring_dir: Path) -> None:
    """What is frozen is not looked at when the interpreter ends."""
    code = """
import os
class Cycle:
    def __del__(self, write=os.write): write(1, b"finalized")
one = Cycle()
one.me = one
del one
many = [[] for _ in range(100000)]
"""
    done = run([python.path, "-c", code], environment(ring_dir, **OFF))
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"finalized")


def test_the_guard_on_memory(python: Interpreter, ring_dir: Path) -> None:
    """After 512 MiB the interpreter collects again."""
    with Puppet(python, ring_dir, **OFF) as puppet:
        puppet.do("garbage()", "block = bytearray(b'x') * (600 << 20)")
        puppet.do("import time", "time.sleep(0.3)", "garbage(10000)")
        puppet.do(WATCH)
        assert puppet.do("seen() is None")
        assert puppet.collector()["frozen_objects"] <= own_frozen(python)
        puppet.do("one = listen()", "arm(one)")
        assert puppet.shown().state == "ready"


@pytest.mark.parametrize("preload", [True, False])
def test_workers_of_gunicorn(server_python: Interpreter, preload: bool, ring_dir: Path) -> None:
    settings = {"GUNICORN_CMD_ARGS": "--preload"} if preload else {}
    with gunicorn(server_python, ring_dir, **settings, **OFF) as server:
        for worker in server.workers_in_state("ready", ring_dir):
            assert worker.frozen_objects > HEAP
            stats = server.ask(worker.pid, "/stats")["stats"]
            assert by_pid(ring_dir)[worker.pid].counts() == counted(stats)
            automatic = [part["collected"] for part in worker.gc if part["cause"] == "automatic"]
            assert sum(automatic) == 0
        (parent,) = wait_for_state(ring_dir, "parent")
        assert (parent.frozen_objects > HEAP * 1.5) == preload


CHILD = """
import json
def child():
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        garbage(50000)
        said = gc.get_stats()
        arm(one)
        os.write(w, json.dumps([said, gc.get_stats()]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return json.loads(os.read(r, 65536).decode())
"""


def test_a_child_of_a_server_does_the_same(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **OFF) as puppet:
        puppet.do("one = listen()", CHILD)
        before = puppet.do(COLLECTED)
        said, ready = puppet.do("child()")
        # The parent collects before it forks; the child's first collection is not emptied yet.
        assert sum(part["collected"] for part in said) < before + 10000
        assert sum(part["collected"] for part in ready) > before + 40000


def test_a_child_with_much_to_share_leaves_it_frozen(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """Unfrozen there, the pages would be its own."""
    with Puppet(system_python, ring_dir, **OFF) as puppet:
        puppet.do("keep(120000)", "one = listen()", CHILD)
        before = puppet.do(COLLECTED)
        said, _ = puppet.do("child()")
        assert sum(part["collected"] for part in said) > before + 40000
