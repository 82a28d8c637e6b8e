"""The application's own collections find what we froze; its own freezing is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import Process, counted
from lib.run import wait_for
from venvs import Interpreter

HEAP_SIZE = 20000  # of the puppet
modes = pytest.mark.parametrize("mode", ["freeze", "idle"])

MODEL = """
import ctypes, weakref
FINALIZED = []
class Model(Node):
    def __del__(self):
        FINALIZED.append(self.me is self)
MODEL = Model([Node() for _ in range(100)])
SEEN = weakref.ref(MODEL)
"""
COLLECTS = {
    "gc.collect()": "gc.collect()",
    "gc.collect(2)": "gc.collect(generation=2)",
    "PyGC_Collect": "ctypes.pythonapi.PyGC_Collect()",
}


def tuned(puppet: Puppet) -> None:
    puppet.do("one = listen()", MODEL)
    puppet.wait_for("ready", "arm(one)")
    assert puppet.frozen()


def explicit(process: Process, generation: int = 2) -> int:
    """Full collections that the application asked for."""
    parts = [p for p in process.gc if p["cause"] == "explicit" and p["generation"] == generation]
    return sum(part["collections"] for part in parts)


def exact(puppet: Puppet) -> Process:
    """Its counts are the interpreter's own. Asking makes no collection."""
    stats = counted(puppet.do("gc.get_stats()"))
    shown = puppet.shown()
    assert shown.counts() == stats
    return shown


@modes
@pytest.mark.parametrize("what", COLLECTS)
def test_finds_what_is_frozen(python: Interpreter, what: str, mode: str, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        tuned(puppet)
        before = exact(puppet)
        puppet.do("MODEL = None", "gc.collect(0)", "gc.collect(1)")
        assert puppet.do("SEEN() is not None and FINALIZED == []"), "young ones look at no frozen"
        assert puppet.frozen()
        assert puppet.do(COLLECTS[what]) >= 101
        assert puppet.do("SEEN() is None")
        assert puppet.do("FINALIZED") == [True]
        assert puppet.frozen(), "what lives is frozen again"
        after = exact(puppet)
        assert explicit(after) == explicit(before) + 1
        assert after.state == "ready"
        # And once more: nothing is left, and the finalizer does not run again.
        puppet.do("gc.collect()", COLLECTS[what])
        assert puppet.do("FINALIZED") == [True]
        assert puppet.frozen()
        assert explicit(exact(puppet)) == explicit(after) + 2


@modes
def test_young_collections_leave_it_frozen(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """It is not given back for them, not even for a moment."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        tuned(puppet)
        puppet.do("DURING = []", "def look(phase, info): DURING.append(gc.get_freeze_count())")
        puppet.do("gc.callbacks.append(look)", "gc.collect(0)", "gc.collect(1)")
        during = puppet.do("gc.callbacks.remove(look)", "DURING")
        assert len(during) >= 4
        assert min(during) >= HEAP_SIZE
        puppet.do("DURING.clear()", "gc.callbacks.append(look)", "gc.collect()")
        assert min(puppet.do("DURING")) < HEAP_SIZE


@modes
def test_the_application_unfreezes(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """What it wants seen is not frozen again by its collections."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        tuned(puppet)
        assert puppet.shown().frozen_objects >= HEAP_SIZE
        puppet.do("gc.unfreeze()")

        def look() -> Process | None:
            # A young one has no reason to freeze; mode freeze looks once a second.
            puppet.do("gc.collect(0)", "garbage(10)", "select.select([one], [], [], 0.01)")
            shown = puppet.shown()
            return shown if shown.frozen_objects == 0 else None

        wait_for("nothing frozen", look)
        puppet.do("MODEL = None")
        assert puppet.do("gc.collect()") >= 101
        assert puppet.do("SEEN() is None")
        assert not puppet.frozen()
        puppet.do("gc.collect()", "garbage(10)", "select.select([one], [], [], 0.01)")
        assert not puppet.frozen()
        assert exact(puppet).frozen_objects == 0


@modes
def test_collects_at_once_after_it_unfroze(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path
) -> None:
    """Before anybody has looked."""
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        tuned(puppet)
        puppet.do("gc.unfreeze()", "gc.collect()")
        assert not puppet.frozen()


@modes
def test_the_application_freezes(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """After us: what is frozen is its own from then on."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        own = puppet.collector()["thresholds"]
        tuned(puppet)
        puppet.do("keep(30000)", "gc.freeze()")
        ticks = ("gc.collect(0)", "garbage(10)", "select.select([one], [], [], 0.01)")
        shown = puppet.wait_for("standing-back", *ticks)
        assert "froze" in shown.reason
        state = puppet.collector()
        assert state["frozen_objects"] >= HEAP_SIZE + 30000, "it is not unfrozen"
        assert state["thresholds"] == own
        puppet.do("MODEL = None", "gc.collect()")
        assert puppet.do("SEEN() is not None"), "the application's own gc.freeze() holds"
