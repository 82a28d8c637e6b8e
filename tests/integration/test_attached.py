"""The library in a CPython that runs already: what works after attach, and what detach leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.attach import Late, rings
from lib.puppet import collections_of
from lib.rings import counted
from venvs import Interpreter

# Of the program alone: an automatic collection between two lines would be one more.
QUIET = "gc.disable()"
BRIEF = "gc.collect()"


@pytest.fixture
def late(python: Interpreter, ring_dir: Path):  # noqa: ANN201
    with Late(python, ring_dir) as puppet:
        yield puppet


def test_it_measures_from_here_on(late: Late) -> None:
    before = late.do("gc.collect(); gc.collect(1)", QUIET, "gc.get_stats()")
    assert late.attach() == 0
    shown = late.shown()
    assert shown
    assert (shown.state, shown.mode, shown.fired) == ("observing", "observe", "attach")
    assert "attached" in shown.flags
    assert counted(shown.inherited) == counted(before)
    assert shown.gc == []
    late.do("gc.collect(); gc.collect(1); gc.enable(); garbage(5000)", QUIET)
    assert late.shown().counts() == counted(late.do("gc.get_stats()"))
    assert collections_of(late.shown(), "explicit") == 2
    assert collections_of(late.shown(), "automatic") > 0
    assert not late.frozen()
    assert late.errors() == ""
    assert late.end() == 0


def test_twice_is_once(late: Late) -> None:
    assert late.attach() == 0
    assert late.attach("freeze") == "EALREADY"
    assert len(rings(late.ring_dir)) == 1
    assert late.do("len(gc.callbacks)") == 1


def test_loaded_alone_it_does_nothing(late: Late) -> None:
    before = late.do("dir(gc), gc.get_threshold(), len(gc.callbacks), gc.isenabled()")
    late.load()
    late.do("garbage(20000)", "gc.collect()", "one = listen()", "arm(one)", "garbage(20000)")
    assert late.do(f"forked({BRIEF!r})") == 7
    after = late.do("dir(gc), gc.get_threshold(), len(gc.callbacks), gc.isenabled()")
    assert after == before
    assert rings(late.ring_dir) == []
    assert late.call("ours.gcpreload_detach()") == "ENOENT"
    assert late.errors() == ""


def test_freeze_and_back(late: Late) -> None:
    own = late.collector()["thresholds"]
    late.do("callbacks = list(gc.callbacks)")
    assert late.attach("freeze") == 0
    shown = late.shown()
    assert (shown.state, shown.mode) == ("ready", "freeze")
    assert "attached" in shown.reason
    assert late.frozen()
    assert late.collector()["thresholds"][0] == 50000
    assert collections_of(shown, "ready") == 1
    assert late.detach() == 0
    assert late.collector()["thresholds"] == own
    assert not late.frozen()
    assert late.do("gc.callbacks == callbacks")
    assert str(late.ring_dir) not in late.mappings()
    assert late.detach() == "ENOENT"
    before = late.do("gc.collect()", QUIET, "gc.get_stats()")
    assert late.attach() == 0
    shown = late.shown()
    assert shown.state == "observing"
    assert counted(shown.inherited) == counted(before)
    assert shown.gc == []
    assert late.do("len(gc.callbacks)") == 1
    assert late.errors() == ""
    assert late.end() == 0
