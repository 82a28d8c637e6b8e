"""Standing back, a thaw, off and observe leave the collector as it was; a moment without gc does
not make it stand back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import Process, command
from lib.run import wait_for
from venvs import Interpreter

MODES = ("freeze", "idle")
modes = pytest.mark.parametrize("mode", MODES)
# Looks: at a wait, in mode freeze after a collection, and at commands once a second.
LOOKS = ("arm(one)", "select.select([one], [], [], 0.01)", "gc.collect(0)", "garbage(10)")


def tuned(puppet: Puppet) -> list[int]:
    """The thresholds before; enough of other things that they may be frozen by the interpreter."""
    own: list[int] = puppet.collector()["thresholds"]
    assert not puppet.frozen()
    puppet.do("one = listen()")
    puppet.wait_for("ready", "arm(one)")
    state = puppet.collector()
    assert state["frozen"]
    assert state["thresholds"][0] > own[0]
    return own


def nothing_of_ours(puppet: Puppet, thresholds: list[int]) -> None:
    state, shown = puppet.collector(), puppet.shown()
    assert state["thresholds"] == shown.thresholds == thresholds
    assert not state["frozen"]
    # A threshold that comes later is the application's own.
    puppet.do("garbage(60000)", "gc.collect()", *LOOKS)
    assert puppet.collector()["thresholds"] == thresholds
    assert not puppet.frozen()


@contextmanager
def both_modes(python: Interpreter, ring_dir: Path) -> Iterator[list[Puppet]]:
    """Side by side, where each would wait for a second or more."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(Puppet(python, ring_dir, GCPRELOAD_MODE=mode)) for mode in MODES
        ]


def all_in_state(puppets: list[Puppet], state: str) -> list[Process]:
    def look() -> list[Process] | None:
        for puppet in puppets:
            puppet.do(*LOOKS)
        found = [puppet.shown() for puppet in puppets]
        return found if all(shown.state == state for shown in found) else None

    return wait_for(f"the state {state}", look)


CHANGES = {
    # The values that it sets, by what it finds; what is in force after we have stood back.
    "the first": ("(9999, b, c)", lambda own: [9999, own[1], own[2]]),
    "the second": ("(a, 7, c)", lambda own: [own[0], 7, own[2]]),
    "the third": ("(a, b, 3)", lambda own: [own[0], own[1], 3]),
    "all": ("(9999, 7, 3)", lambda own: [9999, 7, 3]),
}


@modes
@pytest.mark.parametrize("what", CHANGES)
def test_the_application_changes_thresholds(
    one_of_two_pythons: Interpreter, what: str, mode: str, ring_dir: Path
) -> None:
    change, expected = CHANGES[what]
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        own = tuned(puppet)
        puppet.do("a, b, c = gc.get_threshold()", f"gc.set_threshold{change}")
        shown = puppet.wait_for("standing-back", *LOOKS)
        assert "thresholds" in shown.reason
        nothing_of_ours(puppet, expected(own))


COMMANDS = {
    "thaw": (["thaw"], "observing"),
    "off": (["set", "mode=off"], "off"),
    "observe": (["set", "mode=observe"], "observing"),
}


def tell(puppet: Puppet, words: list[str]) -> None:
    where = [str(puppet.pid), "--dir", str(puppet.ring_dir), "--timeout", "0"]
    command(words[0], *where, *words[1:])


@pytest.mark.parametrize("what", COMMANDS)
def test_a_command(one_of_two_pythons: Interpreter, what: str, ring_dir: Path) -> None:
    words, state = COMMANDS[what]
    with both_modes(one_of_two_pythons, ring_dir) as puppets:
        owns = [tuned(puppet) for puppet in puppets]
        for puppet in puppets:
            tell(puppet, words)
        all_in_state(puppets, state)
        for puppet, own in zip(puppets, owns):
            nothing_of_ours(puppet, own)


@pytest.mark.parametrize("what", COMMANDS)
def test_a_command_after_a_change(system_python: Interpreter, what: str, ring_dir: Path) -> None:
    """Nobody has looked in between: what the application set stays, the others go back."""
    words, state = COMMANDS[what]
    with Puppet(system_python, ring_dir) as puppet:
        own = tuned(puppet)
        puppet.do("a, b, c = gc.get_threshold()", "gc.set_threshold(a, 7, c)")
        tell(puppet, words)
        puppet.wait_for(state, "arm(one)")
        nothing_of_ours(puppet, [own[0], 7, own[2]])


def test_gc_disabled_for_good(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """Seen after some seconds."""
    with both_modes(one_of_two_pythons, ring_dir) as puppets:
        owns = [tuned(puppet) for puppet in puppets]
        for puppet in puppets:
            puppet.do("gc.disable()")
        for shown in all_in_state(puppets, "standing-back"):
            assert "disabled" in shown.reason
        for puppet, own in zip(puppets, owns):
            nothing_of_ours(puppet, own)
            assert not puppet.collector()["enabled"]


# A library does so in a thread, meanwhile the server waits and other code collects.
FOR_A_MOMENT = """
import threading
def for_a_moment():
    off, on = threading.Event(), threading.Event()
    def library():
        gc.disable()
        off.set()
        on.wait()
        gc.enable()
    thread = threading.Thread(target=library)
    thread.start()
    off.wait()
    for _ in range(3):
        arm(one)
        select.select([one], [], [], 0.01)
        gc.collect(0)
        garbage(10)
    on.set()
    thread.join()
    return gc.isenabled()
"""


def test_gc_disabled_for_a_moment(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with both_modes(one_of_two_pythons, ring_dir) as puppets:
        for puppet in puppets:
            tuned(puppet)
            puppet.do(FOR_A_MOMENT)
        for _ in range(2):
            time.sleep(1.1)  # or mode freeze would not look at all
            for puppet in puppets:
                assert puppet.do("for_a_moment()")
                puppet.do(*LOOKS)
                assert puppet.shown().state == "ready"
        for puppet in puppets:
            state = puppet.collector()
            assert state["frozen"]
            assert state["thresholds"][0] >= 10000


@modes
def test_gc_disabled_at_the_first_wait(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """It becomes ready later."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("one = listen()", "gc.disable()", "arm(one)", "gc.enable()")
        assert not puppet.frozen()
        puppet.do("gc.disable()", "arm(one)", "select.select([one], [], [], 0.01)", "gc.enable()")
        assert not puppet.frozen()
        puppet.wait_for("ready", "arm(one)")
        assert puppet.frozen()
