"""Processor time and connections of each period, counted in real servers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lib.puppet import Puppet
from lib.rings import command
from lib.run import wait_for
from lib.servers import KINDS, Kind
from venvs import Interpreter

REQUESTS = 25  # each on a connection of its own
FEW = ("gunicorn sync", "gunicorn gthread", "gunicorn gevent", "uvicorn", "uvicorn uvloop")


def report(ring_dir: Path) -> list[dict[str, Any]]:
    done = command("report", "--json", "--dir", ring_dir)
    assert done.returncode == 0
    return json.loads(done.stdout)["processes"]


def total(processes: list[dict[str, Any]], key: str) -> float:
    return sum(period[key] or 0 for one in processes for period in one["periods"])


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name in FEW], ids=str)
def test_connections(kind: Kind, system_python: Interpreter, ring_dir: Path) -> None:
    """All of them, whichever process of the family took them, and none twice."""
    if kind.possible(system_python):
        pytest.skip(kind.possible(system_python))
    with kind.start(system_python, ring_dir) as server:
        for _ in range(REQUESTS):
            server.get("/")
        # One more was the question whether it answers.
        expected = REQUESTS + 1

        def look() -> float:
            seen = total(report(ring_dir), "connections")
            assert seen <= expected
            return seen if seen == expected else 0

        wait_for("the connections", look)


def test_processor_time(system_python: Interpreter, ring_dir: Path) -> None:
    """Of a process that did not look since: the command asks the kernel."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)")
        puppet.wait_for("ready", "garbage()")
        puppet.do("import time", "gc.disable()", "until = time.process_time() + 0.5")
        before = total(report(ring_dir), "cpu_seconds")
        puppet.do("while time.process_time() < until: pass")
        processes = report(ring_dir)
        after = total(processes, "cpu_seconds")
        real = puppet.do("time.process_time()")
        tick = 1 / os.sysconf("SC_CLK_TCK")
        assert before > 0
        assert after - before > 0.3
        assert after <= real + 2 * tick
        (process,) = processes
        assert process["load_age_seconds"] > 0
        periods = {period["period"]: period for period in process["periods"]}
        assert periods["tuned"]["cpu_seconds"] > 0.3
        assert periods["tuned"]["connections"] is None  # it accepts none
