"""In mode concurrent the gc module means what it meant: what the application collects, disables,
freezes and asks for itself, with marks under way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib.marker import (
    LIVING,
    Latch,
    Marked,
    markers,
    old_garbage,
    old_garbage_goes,
    side_by_side,
    stat_of,
)
from lib.puppet import Puppet
from lib.run import wait_for
from lib.server import children
from venvs import Interpreter

# Of each age that garbage may have: what each collection returns, what is finalized by then.
AGES = """
import weakref
RUNS = []
class Final(Cycle):
    def __del__(self):
        RUNS.append(1)
    def __init__(self):
        self.me, self.list = self, []
        self.list.append(self.list)

def ages():
    said = []
    for before in (), (0,), (1,), (0, 1), (1, 1), (2,):
        kept = [Final() for _ in range(20)]
        for generation in before:
            gc.collect(generation)
        RUNS.clear()
        kept = None
        for generation in 0, 1, 2, 2:
            said.append([gc.collect(generation), len(RUNS)])
    return said

def all_of_it():
    gc.collect()
    return ages()
"""


@pytest.fixture
def marked(server_python: Interpreter, ring_dir: Path) -> Iterator[Marked]:
    with Marked(server_python, ring_dir) as puppet:
        puppet.do("before_marks = allocator()", "own = gc.get_threshold()")
        yield puppet.becomes_ready()


def in_stock(python: Interpreter, ring_dir: Path, *sources: str) -> Any:  # noqa: ANN401 - JSON
    with Puppet(python, None, extra=Latch(ring_dir).environment) as puppet:
        return puppet.do("from marker_latch import *", *sources)


# ---- collections of the application's ----


def test_collections_return_what_stocks_do(marked: Marked, server_python: Interpreter) -> None:
    """Of garbage of every age, while a mark is out and when its result is there."""
    assert marked.ring_dir
    stock = in_stock(server_python, marked.ring_dir, AGES, "all_of_it()")
    assert [20 in said for said in stock].count(True) >= 6, "a test of nothing"
    marked.do(AGES)
    assert marked.do("all_of_it()") == stock
    marked.marks_go_on()
    marker = marked.hold()
    assert marked.do("all_of_it()") == stock
    marked.latch.go_on()
    marked.marks_go_on()
    marked.release(marked.hold())
    assert stat_of(marker) == []
    assert marked.do("all_of_it()") == stock


def test_young_collections_leave_a_mark_alone(marked: Marked) -> None:
    """They return what is young, and not what they would have to wait for."""
    old_garbage(marked)
    marked.do("gc.collect(1)")
    marker = marked.hold()
    marked.do("OLD = None", "gc.collect(1)")
    expected = marked.do("fresh = [Cycle() for _ in range(50)]", "gc.collect(0)", "len(fresh)")
    for generation in (0, 1):
        marked.do("fresh = [Cycle() for _ in range(50)]", "fresh = None")
        assert marked.do(f"gc.collect({generation})") >= expected
        assert marked.do(LIVING) == 3000
    assert markers(marked.pid) == [marker]
    marked.release(marker)
    marked.until("the end of what is old", lambda: marked.do(LIVING) == 0)


@pytest.mark.parametrize("when", ["marking", "marked", "taken"])
def test_a_full_collection_finds_what_a_mark_looks_for(when: str, marked: Marked) -> None:
    """All of it at once, and the mark has nothing left to give back."""
    old_garbage(marked)
    marker = marked.hold_after("OLD = None")
    if when != "marking":
        marked.release(marker)
    if when == "taken":
        marked.do("one_collection()")
    assert marked.do(LIVING) == 3000
    assert marked.do("gc.collect()") >= 3000
    assert marked.do(LIVING) == 0
    assert children(marked.pid) == [] or when == "marking"
    marked.latch.go_on()
    old_garbage(marked)
    old_garbage_goes(marked)
    assert marked.failed() == []


# ---- what comes to life again ----


def last_garbage(puppet: Marked) -> tuple[int, ...]:
    """What the last finished mark that found any says: garbage, swept, skipped."""
    lines = [re.findall(r"(\d+) (?:garbage|swept|skipped)", s) for s in puppet.log("mark: fork")]
    return [tuple(int(n) for n in line) for line in lines if int(line[0]) >= 3000][-1]


def found_as_garbage(puppet: Marked, *meanwhile: str) -> tuple[int, ...]:
    """A mark finds all of OLD, and the program does something before it is swept."""
    old_garbage(puppet)
    marker = puppet.hold_after("OLD = None")
    puppet.do(*meanwhile)
    puppet.release(marker)
    puppet.marks_go_on()
    return last_garbage(puppet)


def test_what_a_weak_reference_brings_back_lives(marked: Marked) -> None:
    garbage, swept, skipped = found_as_garbage(marked, "BACK = [seen() for seen in SEEN]")
    assert garbage == swept >= 3000
    assert skipped == 0
    assert marked.do(LIVING) == 3000
    assert marked.do("all(c.me is c and seen() is c for c, seen in zip(BACK, SEEN))")
    marked.do("BACK = None")
    marked.until("its end", lambda: marked.do(LIVING) == 0)


def test_what_was_freed_before_the_sweep_is_not_touched(marked: Marked) -> None:
    """Others have its memory by then."""
    garbage, swept, skipped = found_as_garbage(
        marked,
        "BACK = [seen() for seen in SEEN]",
        "for c in BACK: c.me = None",
        "c = BACK = None",
        "NEW = [Cycle() for _ in range(6000)]",
    )
    assert garbage == swept + skipped
    assert skipped >= 3000
    assert marked.do(LIVING) == 0
    assert marked.do("all(c.me is c for c in NEW)")
    marked.do("last = weakref.ref(NEW[-1])", "NEW = c = None")
    marked.until("the end of the others", lambda: marked.do("last() is None"))


PHOENIX = """
RUNS, CALLS, UP = [], [], []
class Phoenix(Cycle):
    def __del__(self):
        RUNS.append(1)
        UP.append(self)
PLAIN = [Cycle() for _ in range(100)]
SEEN = [weakref.ref(c, CALLS.append) for c in PLAIN]
BIRDS = [Phoenix() for _ in range(100)]
"""


def test_finalizers_and_callbacks_run_once(marked: Marked) -> None:
    """A finalizer that keeps its object does not run again when that is garbage at last."""
    marked.do("import weakref", PHOENIX)
    marked.marks_go_on()
    marked.do("PLAIN = BIRDS = None")
    marked.until("finalizers", lambda: marked.do("len(RUNS) == 100 == len(CALLS)"))
    marked.marks_go_on()
    assert marked.do("len(UP) == 100 and all(bird.me is bird for bird in UP)")
    marked.do("last = weakref.ref(UP[-1])", "UP.clear()")
    marked.until("their end", lambda: marked.do("last() is None"))
    marked.marks_go_on()
    assert marked.do("len(RUNS), len(CALLS), len(UP)") == [100, 100, 0]


# ---- what else it does to its collector ----


def test_disabled_for_a_moment(marked: Marked) -> None:
    """Nothing is swept meanwhile, and it goes on."""
    old_garbage(marked)
    marked.release(marked.hold_after("OLD = None"))
    stats = marked.do("gc.disable()", "garbage(30000)", "gc.get_stats()")
    assert marked.do("garbage(30000)", "gc.get_stats()") == stats
    assert not marked.do("gc.isenabled()")
    assert marked.do(LIVING) == 3000
    marked.do("gc.enable()")
    marked.until("the end of what is old", lambda: marked.do(LIVING) == 0)
    marked.marks_go_on()
    assert not marked.log("standing back")


def test_collects_while_disabled(marked: Marked) -> None:
    old_garbage(marked)
    marker = marked.hold_after("OLD = None")
    assert marked.do("gc.disable()", "gc.collect()") >= 3000
    marked.latch.go_on()
    wait_for(
        "the end of the marker", lambda: marked.do("gc.collect()") == 0 and not stat_of(marker)
    )
    assert marked.do("allocator() == before_marks")
    marked.do("gc.enable()")
    marked.marks_go_on()


def nothing_of_ours(puppet: Marked) -> None:
    before = puppet.swept()
    puppet.do("gc.enable()", "garbage(30000)")
    assert puppet.swept() == before
    assert children(puppet.pid) == []
    assert puppet.do("allocator() == before_marks")


OWN = {"set_threshold(321, 5, 5)": [321, 5, 5], "freeze()": None}


@pytest.mark.parametrize("does", OWN)
def test_it_tunes_its_own(does: str, marked: Marked) -> None:
    """During a mark: then we leave it alone."""
    old_garbage(marked)
    marker = marked.hold()
    marked.do(f"gc.{does}")
    marked.until("standing back", lambda: marked.log("standing back"))
    marked.until("the end of the marker", lambda: stat_of(marker) == [])
    marked.latch.go_on()
    assert marked.do("gc.get_threshold()") == (OWN[does] or marked.do("own"))
    assert marked.frozen() == (does == "freeze()")
    nothing_of_ours(marked)
    assert marked.do("OLD = None", "gc.unfreeze()", "gc.collect()") >= 3000


def test_it_is_off_or_under_debugging_for_good(system_python: Interpreter, ring_dir: Path) -> None:
    """Some seconds, or a debugging session."""
    ways = ("disable()", "set_debug(gc.DEBUG_UNCOLLECTABLE)")
    with side_by_side(system_python, ring_dir, len(ways)) as puppets:
        for puppet, way in zip(puppets, ways):
            puppet.release(puppet.hold())
            puppet.do(f"gc.{way}")
        tick = "select.select([one], [], [], 0.01); gc.collect(0)"
        for puppet in puppets:
            puppet.do(tick)
        for puppet, way in zip(puppets, ways):
            puppet.until("standing back", lambda p=puppet: p.log("standing back"), tick)
            puppet.until("no child", lambda p=puppet: children(p.pid) == [], "gc.collect(0)")
            assert puppet.do("gc.isenabled()") == (way != "disable()")
            assert not puppet.frozen(), way
            before = puppet.swept()
            puppet.do("garbage(30000)")
            assert puppet.swept() == before, way


def test_it_unfreezes(marked: Marked) -> None:
    """During a mark, and when its result is there: all objects are in the open again."""
    for release in (False, True):
        old_garbage(marked)
        marker = marked.hold_after("OLD = None")
        if release:
            marked.release(marker)
        marked.do("gc.unfreeze()")
        assert marked.do("sum(isinstance(o, Cycle) for o in gc.get_objects())") >= 3000
        assert marked.do("gc.collect()") >= 3000
        marked.latch.go_on()
    assert marked.do("one_collection()")


def test_it_looks_at_all_objects(marked: Marked) -> None:
    """Also at those that were just given back."""
    old_garbage(marked)
    marked.do("OLD = None")
    for _ in range(20):
        assert marked.do("one_collection()", "len(gc.get_objects())") > 0
        assert marked.do("len([r for o in gc.get_objects()[:50] for r in gc.get_referrers(o)])")
    marked.do("gc.unfreeze(); everything = gc.get_objects()")
    assert marked.do("len(everything)") >= 20000
    marker = marked.hold()
    marked.do("everything = None")
    marked.release(marker)
    assert marked.do("one_collection()")


def test_it_clears_the_callbacks(marked: Marked) -> None:
    """Nobody sweeps until a wait finds that out."""
    old_garbage(marked)
    marked.release(marked.hold_after("OLD = None"))
    marked.do("gc.callbacks.clear()", "garbage(30000)")
    assert marked.do(LIVING) == 3000
    marked.until("the end of what is old", lambda: marked.do(LIVING) == 0, "arm(one); garbage()")
