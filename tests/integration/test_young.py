"""GCPRELOAD_YOUNG_MS: threshold0 follows what young collections take."""

from __future__ import annotations

from pathlib import Path

from lib.puppet import Puppet, collections_of
from venvs import Interpreter

TUNED = 50000
# Each automatic young collection takes 20 ms at least, on any machine.
SLOW = """
import time
class Slow:
    def __del__(self):
        time.sleep(0.02)
def collect_slowly():
    for _ in range(6):
        slow = Slow()
        slow.me = slow
        del slow
        garbage(10000)
"""


def after_slow_ones(python: Interpreter, ring_dir: Path, **settings: str) -> int:
    with Puppet(python, ring_dir, **settings) as puppet:
        puppet.do(SLOW, "one = listen()", "arm(one)", *["collect_slowly()"] * 6)
        shown = puppet.shown()
        assert shown.state == "ready"
        assert collections_of(shown, "automatic") >= 5
        return puppet.collector()["thresholds"][0]


def test_it_is_lowered(python: Interpreter, ring_dir: Path) -> None:
    assert after_slow_ones(python, ring_dir, GCPRELOAD_YOUNG_MS="10") < TUNED


def test_a_millisecond_too_long(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    assert after_slow_ones(one_of_two_pythons, ring_dir, GCPRELOAD_YOUNG_MS="19") < TUNED


def test_it_stays_where_it_is_not_asked_for(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    assert after_slow_ones(one_of_two_pythons, ring_dir, GCPRELOAD_YOUNG_MS="0") == TUNED


def test_a_busy_machine_changes_no_other_test(system_python: Interpreter, ring_dir: Path) -> None:
    """As they all run it: what takes long there would be taken for a threshold of ours."""
    assert after_slow_ones(system_python, ring_dir) == TUNED
