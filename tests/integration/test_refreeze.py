"""The guard looks at all there is, and freezes again only what was frozen before."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.puppet import Puppet, collections_of
from lib.run import wait_for
from venvs import Interpreter

HEAP_SIZE = 20000
LIVE = 400000


@pytest.mark.parametrize("mode", ["freeze", "idle"])
def test_what_was_not_frozen_is_not(python: Interpreter, ring_dir: Path, mode: str) -> None:
    """What was frozen and is garbage is freed; a million objects that came later stay where full
    collections look, and the rest of the heap stays frozen."""
    known = python.version >= (3, 8)
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode, GCPRELOAD_GROWTH="100") as puppet:
        puppet.do("one = listen()", "arm(one)", "import weakref")
        before = puppet.do("collector()")["frozen_objects"]
        puppet.do("gone = weakref.ref(HEAP[7])", "HEAP[7] = None")
        puppet.do(f"live = heap({LIVE})", "dropped = weakref.ref(live[0])")
        wait_for("the guard", lambda: puppet.do("garbage(3000)", "arm(one)", "gone() is None"))
        assert collections_of(puppet.shown(), "guard") >= 2

        after = puppet.do("collector()")["frozen_objects"]
        if known:
            assert before - 1000 < after < before + 1000
        else:
            assert after > before + LIVE
        # The lists are whole: each object is in one of them, once.
        assert puppet.do("len(set(map(id, gc.get_objects()))) == len(gc.get_objects())")
        puppet.do("live = None", "gc.unfreeze()", "gc.collect()", "gc.collect()")
        assert puppet.do("dropped() is None")
        nodes = "sum(type(one) is Node for one in gc.get_objects())"
        assert puppet.do(nodes) == HEAP_SIZE - 1
