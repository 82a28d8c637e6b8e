"""gevent's and uvloop's own tests in mode concurrent, a mark always under way.

What is not as without the library must stand in tests/suites/differences.txt, with the reason. A
few files; with --all every one. Nothing leaves this machine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lib.rings import ps
from lib.run import environment
from lib.suites import MARKS, SUITES, Suite, differences, run_file
from venvs import Interpreter

AT_ONCE = 2  # a process waits more than it works


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_as_without_the_library(
    suite: Suite, system_python: Interpreter, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    every = suite.files(system_python)
    assert {*suite.short} <= {*every}

    def both(name: str) -> tuple[int, object]:
        own = ring_dir / name  # a new ring sweeps those of dead processes beside it
        own.mkdir()
        marks = environment(own, **MARKS)
        pair = [run_file(suite, system_python, env, name) for env in (environment(), marks)]
        return len(pair[1]), differences(suite, system_python, marks, name, pair)

    names = every if pytestconfig.getoption("--all") else list(suite.short)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(names, pool.map(both, names)))
    assert not {name: wrong for name, (_, wrong) in found.items() if wrong}
    assert sum(number for number, _ in found.values()) > 70
    # --all has others' processes, too, which have no measurements here.
    told = [p.marks for name in names for p in ps(ring_dir / name, "--all") if p.marks]
    assert len(told) >= len(names)
    assert sum(marks["begun"] for marks in told) > 5 * len(names)
    assert sum(marks["finished"] for marks in told) > 3 * len(names)
    assert not sum(marks["failed"] for marks in told)
