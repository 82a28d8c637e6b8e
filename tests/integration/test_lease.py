"""In mode idle the interpreter's full collections are put off, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.puppet import Puppet
from venvs import Interpreter

ALONE = {
    "cleared": "gc.callbacks.clear()",
    "replaced": "gc.callbacks[:] = [lambda phase, info: None]",
}
# What survives, since a full collection of the interpreter's waits for that. Ours come at a third
# threshold that is 20 ahead: after threshold0 * 11 * 21 objects.
SURVIVORS = """
def objects_until_full(most):
    before, live = gc.get_stats()[2]["collections"], []
    for made in range(0, most, 10000):
        live.append(heap(5000))
        del live[:-40]
        if gc.get_stats()[2]["collections"] > before:
            return made
    return None
"""
THRESHOLD0 = 2000


@pytest.mark.parametrize("what", ALONE)
def test_full_collections_come_back(python: Interpreter, what: str, ring_dir: Path) -> None:
    """Where none of our callbacks and none of the server's waits comes any more."""
    settings = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_THRESHOLDS": f"{THRESHOLD0},keep,keep"}
    with Puppet(python, ring_dir, **settings) as puppet:
        own = puppet.collector()["thresholds"]
        puppet.do("one = listen()", SURVIVORS)
        puppet.wait_for("ready", "arm(one)")
        thresholds = puppet.collector()["thresholds"]
        assert thresholds[0] == THRESHOLD0
        assert own[2] < thresholds[2] < 200
        puppet.do(ALONE[what])
        assert puppet.do(f"objects_until_full({THRESHOLD0 * 11 * 60})")


def test_the_application_may_double_it(python: Interpreter, ring_dir: Path) -> None:
    """As some do with what gc.get_threshold() says."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE="idle") as puppet:
        puppet.do("one = listen()")
        puppet.wait_for("ready", "arm(one)")
        assert puppet.frozen()
        puppet.do("_, a, b = gc.get_threshold()", "gc.set_threshold(50000, a * 2, b * 2)")
        now = puppet.do("[*gc.get_threshold()] == [50000, a * 2, b * 2]")
        assert now
