"""GCPRELOAD_BASELINE: first it serves with the interpreter's own collector, measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lib.puppet import Puppet, collections_of
from lib.rings import command, wait_for_state
from lib.server import gunicorn
from lib.servers import asking, own_thresholds
from venvs import Interpreter

ARMED = ("one = listen()", "arm(one)")


def periods(ring_dir: Path, pid: int) -> dict[str, Any]:
    done = command("report", "--json", "--dir", ring_dir, str(pid))
    assert done.returncode == 0
    (process,) = json.loads(done.stdout)["processes"]
    return {period["period"]: period for period in process["periods"]}


def collections(period: dict[str, Any]) -> int:
    return sum(part["collections"] for part in period["generations"])


def test_baseline_is_stock(server_python: Interpreter, ring_dir: Path) -> None:
    own = own_thresholds(server_python)
    with gunicorn(server_python, ring_dir, workers=1, GCPRELOAD_BASELINE="1000") as server:
        with asking(server, "/garbage?n=5000"):
            (process,) = wait_for_state(ring_dir, "baseline")
        assert process.thresholds == own
        assert not process.frozen_objects
        assert process.fired in ("auto: select", "auto: accept")
        assert process.reason


def test_baseline_then_tuned(server_python: Interpreter, ring_dir: Path) -> None:
    own = own_thresholds(server_python)
    with gunicorn(server_python, ring_dir, workers=1, GCPRELOAD_BASELINE="1") as server:
        with asking(server, "/garbage?n=5000"):
            (process,) = wait_for_state(ring_dir, "ready")
        assert process.thresholds == [50000, *own[1:]]
        assert process.frozen_objects > 20000
        assert process.fired in ("auto: select", "auto: accept")
        server.ask(process.pid, "/garbage?n=60000")
        startup, baseline, tuned = periods(ring_dir, process.pid).values()
        assert baseline["seconds"] >= 1
        assert collections(startup) > 0
        assert collections(tuned) > 0
        assert tuned["once"]["collections"] == 1
        assert startup["once"]["collections"] == baseline["once"]["collections"] == 0


def test_what_the_baseline_collects(python: Interpreter, ring_dir: Path) -> None:
    """Its end is seen by a collection at the earliest, which is its own."""
    with Puppet(python, ring_dir, GCPRELOAD_BASELINE="0.2") as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready", "garbage()")
        _, baseline, _ = periods(ring_dir, puppet.pid).values()
        assert collections(baseline) > 0
        assert baseline["once"]["collections"] == 0


def test_without_there_is_no_baseline(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        startup, tuned = periods(ring_dir, puppet.pid).values()
        assert startup["seconds"] > 0
        assert tuned["seconds"] > 0
        text = command("report", "--dir", ring_dir, str(puppet.pid)).stdout.decode()
        assert "no baseline" in text


def test_due_is_shown(python: Interpreter, ring_dir: Path) -> None:
    """Nothing ticks: a process that neither waits nor collects is not reached, and says so."""
    with Puppet(python, ring_dir, GCPRELOAD_BASELINE="0.2") as puppet:
        puppet.do("gc.collect()", *ARMED)
        puppet.wait_for("baseline", "import time", "time.sleep(0.3)")
        shown = puppet.shown()
        assert "due" in shown.flags
        assert shown.state == "baseline"
        shown = puppet.wait_for("ready", "garbage()")
        assert "due" not in shown.flags
        assert collections_of(shown, "ready") == 1


def test_an_application_that_tunes_meanwhile(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_BASELINE="0.2") as puppet:
        puppet.do(*ARMED, "gc.set_threshold(1234, 5, 6)", "import time", "time.sleep(0.3)")
        shown = puppet.wait_for("standing-back", "garbage(3000)", "arm(one)")
        assert "threshold" in shown.reason
        assert puppet.collector()["thresholds"] == [1234, 5, 6]
