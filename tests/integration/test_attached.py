"""The library in a CPython that runs already: what works after attach, and what detach leaves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lib.attach import Late, rings
from lib.puppet import collections_of
from lib.rings import by_pid, command, counted, ps
from lib.run import wait_for

# Of the program alone: an automatic collection between two lines would be one more.
QUIET = "gc.disable()"
BRIEF = "gc.collect()"


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
    shown = by_pid(late.ring_dir, "--all")[late.pid]
    assert (shown.state, shown.reason.split(":")[0]) == ("no-ring", "loaded late")
    assert late.detach() == "ENOENT"
    assert late.errors() == ""


def test_freeze_and_back(late: Late) -> None:
    own = late.collector()["thresholds"]
    late.do("callbacks = list(gc.callbacks)")
    assert late.attach("freeze") == 0
    shown = late.shown()
    assert (shown.state, shown.mode) == ("ready", "freeze")
    assert shown.reason == "nothing is done at its waits and forks, which are not seen"
    assert late.frozen()
    assert late.collector()["thresholds"][0] == 50000
    assert collections_of(shown, "ready") == 1
    assert late.detach() == 0
    assert late.collector()["thresholds"] == own
    assert not late.frozen()
    assert late.do("gc.callbacks == callbacks")
    assert str(late.ring_dir) not in late.mappings()
    assert late.detach() == "ENOENT"
    listed = [p for p in ps(late.ring_dir, "--all") if p.pid == late.pid]
    assert sorted((p.state, p.alive) for p in listed) == [("detached", False), ("no-ring", True)]
    before = late.do("gc.collect()", QUIET, "gc.get_stats()")
    assert late.attach() == 0
    shown = late.shown()
    assert shown.state == "observing"
    assert counted(shown.inherited) == counted(before)
    assert shown.gc == []
    assert late.do("len(gc.callbacks)") == 1
    assert late.errors() == ""
    assert late.end() == 0


def test_ps_says_since_when(late: Late) -> None:
    assert late.attach() == 0
    line = command("ps", "--dir", late.ring_dir).stdout.decode().splitlines()[1]
    assert re.search(r"  attached \d.* ago; GCPRELOAD_MODE=observe  ", line)
    assert late.shown().attached_seconds > 0
    said = command("ps", "--config", "--dir", late.ring_dir, str(late.pid)).stdout.decode()
    assert "attached while it ran, with settings that cannot be read from here" in said
    assert "in force: mode observe" in said


def told(late: Late, *words: str) -> None:
    done = command(*words, "--dir", late.ring_dir, "--no-wait", str(late.pid))
    assert done.returncode == 0, done.stderr.decode()


def collects_until(late: Late, state: str) -> None:
    late.wait_for(state, "garbage(60000)")


def test_commands_arrive(late_of_two: Late) -> None:
    """At its next collections; no wait of it is seen."""
    late = late_of_two
    own = late.collector()["thresholds"]
    assert late.attach() == 0
    told(late, "set", "mode=freeze")
    collects_until(late, "ready")
    assert late.frozen()
    told(late, "thaw")
    collects_until(late, "observing")
    assert not late.frozen()
    told(late, "ready")
    collects_until(late, "ready")
    assert late.frozen()
    told(late, "set", "mode=off")
    collects_until(late, "off")
    assert not late.frozen()
    assert late.collector()["thresholds"] == own
    told(late, "set", "mode=observe")
    collects_until(late, "observing")
    assert late.detach() == 0


def report(late: Late) -> dict[str, Any]:
    done = command("report", "--json", "--dir", late.ring_dir)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_time_counts_from_here_on(late: Late) -> None:
    late.do("import os", "while sum(os.times()[:2]) < 0.3: pass")
    before = late.do("sum(os.times()[:2])")
    assert late.attach() == 0
    late.do("gc.collect()")
    periods = report(late)["processes"][0]["periods"]
    assert sum(period["cpu_seconds"] or 0 for period in periods) < before / 2


def test_what_the_application_did_before_stays(late: Late) -> None:
    late.do("gc.set_threshold(5000, 20, 20)")
    assert late.attach("freeze") == 0
    shown = late.shown()
    assert shown.state == "standing-back"
    assert shown.reason == (
        "the application set its own gc thresholds: gc.set_threshold(5000, 20, 20)"
    )
    assert late.collector()["thresholds"] == [5000, 20, 20]
    assert late.detach() == 0
    late.do("gc.set_threshold(*own)" if late.do("'own' in globals()") else "pass")
    assert late.collector()["thresholds"] == [5000, 20, 20]


def test_what_the_application_froze_stays(late: Late) -> None:
    late.do("gc.freeze()")
    frozen = late.collector()["frozen_objects"]
    assert late.attach("freeze") == 0
    assert late.shown().reason == "the application froze objects itself"
    assert late.detach() == 0
    assert late.collector()["frozen_objects"] == frozen


def test_mode_idle_needs_waits(late: Late) -> None:
    assert late.attach("idle") == 0
    shown = late.shown()
    assert (shown.state, shown.mode) == ("ready", "freeze")
    assert shown.reason == "not idle: its waits are not seen"
    assert late.frozen()
    assert late.collector()["thresholds"][0] == 50000
    assert late.detach() == 0


def marks(late: Late) -> dict[str, Any]:
    return late.shown().fields["marks"]


def test_mode_concurrent_needs_none(late_of_two: Late) -> None:
    """Marks begin, and what they found is freed, in collections alone."""
    late = late_of_two
    assert late.attach("concurrent", GCPRELOAD_GROWTH="0") == 0
    shown = late.shown()
    if late.do("sys.version_info < (3, 8)"):
        assert (shown.mode, shown.reason[:15]) == ("freeze", "not concurrent:")
        return
    assert (shown.state, shown.mode) == ("ready", "concurrent")
    late.do("import weakref", "keep(60000)", "dies = weakref.ref(KEPT[-1][0])", "garbage(60000)")
    late.do("KEPT.clear()")

    def is_gone() -> bool:
        late.do("garbage(60000)")
        return late.do("dies() is None")

    wait_for("what a mark found to be freed", is_gone)
    assert marks(late)["finished"] > 0
    assert late.detach() == 0
    assert late.do("len(HEAP)") == late.do("HEAP_SIZE")
    assert not late.frozen()
    assert late.errors() == ""
    assert late.end() == 0


@pytest.mark.parametrize("how", ["os.fork()", "libc.fork()"])
def test_a_child_has_a_ring_of_its_own(late_of_two: Late, how: str) -> None:
    """As under the library: a server's new workers are what one wants to see. After C's fork() the
    first collection tells the child from its parent."""
    late = late_of_two
    late.do("import ctypes, time, signal", "libc = ctypes.PyDLL(None)")
    assert late.attach() == 0
    mine = late.shown()
    late.do(
        f"pid = {how}\nif not pid:\n"
        " signal.alarm(120)\n"
        " os.close(0)\n"
        " while True: garbage(2000); gc.collect(); time.sleep(0.01)"
    )
    child = late.do("pid")
    late.do("gc.collect()")
    shown = wait_for("its ring", lambda: by_pid(late.ring_dir).get(child))
    assert "attached" in shown.flags
    assert (shown.state, shown.reason) == ("observing", "GCPRELOAD_MODE=observe")
    assert shown.ppid == late.pid
    assert shown.file != mine.file
    assert late.shown().file == mine.file
    assert late.shown().counts() == counted(late.do(QUIET, "gc.get_stats()"))
    assert shown.inherited[2]["collections"] >= mine.counts()[2]["collections"]
    late.do("os.kill(pid, 9), os.waitpid(pid, 0)")
    assert late.detach() == 0
    assert late.errors() == ""


def test_a_child_begins_with_the_interpreters_thresholds(late: Late) -> None:
    late.do("import ctypes", "libc = ctypes.PyDLL(None)")
    own = late.collector()["thresholds"]
    assert late.attach("freeze") == 0
    assert late.do(f"forked('assert list(gc.get_threshold()) == {own}')") == 7
    # In its first collection, where C forks.
    late.do("os.fork = libc.fork")
    assert late.do(f"forked('gc.collect(0); assert list(gc.get_threshold()) == {own}')") == 7
    assert late.collector()["thresholds"][0] == 50000
    assert late.detach() == 0
    assert late.do(f"forked('assert list(gc.get_threshold()) == {own}')") == 7
    assert late.errors() == ""


def test_a_child_is_left_and_attached_by_itself(late: Late) -> None:
    assert late.attach("freeze") == 0
    mine = late.shown()
    left = "assert ours.gcpreload_detach() == 0; assert not gc.callbacks; gc.collect()"
    assert late.do(f"forked({left!r})") == 7
    assert late.do("len(gc.callbacks)") == 1
    assert late.frozen()
    assert (late.shown().file, late.shown().state) == (mine.file, "ready")
    assert len(rings(late.ring_dir)) == 1
    assert late.detach() == 0
    again = f"assert ours.gcpreload_attach({late.text()!r}) == 0; gc.collect(); gc.callbacks[0]"
    assert late.do(f"forked({again!r})") == 7
    assert len(rings(late.ring_dir)) == 2
    assert late.do("len(gc.callbacks)") == 0
    assert late.errors() == ""
