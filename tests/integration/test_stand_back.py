"""An application that tunes its own collector knows better, at its start and later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lib.rings import Process, by_pid
from lib.run import wait_for
from lib.server import Server, gunicorn
from venvs import Interpreter

# What the application does, what it then must see, and a word of the reason.
OWN = {
    "disable": ({"enabled": False}, "disabled"),
    "thresholds": ({"thresholds": [1234, 5, 6]}, "gc.set_threshold(1234, 5, 6)"),
    "freeze": ({}, "froze"),
    "debug": ({"debug": 4}, "debug"),
}


def expected(how: str, state: dict[str, Any]) -> None:
    wanted, _ = OWN[how]
    assert {name: state[name] for name in wanted} == wanted
    if how != "thresholds":
        assert state["thresholds"][0] in (700, 2000), "thresholds are not the interpreter's own"
    assert (state["frozen"] > state["frozen_before"]) == (how == "freeze")


@pytest.mark.parametrize("how", OWN)
def test_at_the_start(how: str, one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with gunicorn(one_of_two_pythons, ring_dir, workers=1, APP_GC=how) as server:
        (process,) = server.workers_in_state("standing-back", ring_dir, 1)
        assert OWN[how][1] in process.reason
        before = server.json("/state")
        server.get("/garbage?n=5000")
        after = server.json("/state")
        expected(how, before)
        expected(how, after)
        assert "gcpreload[" not in server.output()


@pytest.mark.parametrize("how", ["disable", "thresholds", "debug"])
def test_later(how: str, system_python: Interpreter, ring_dir: Path) -> None:
    """The application's own values stay, whatever comes after."""
    with gunicorn(system_python, ring_dir, workers=1) as server:
        server.workers_in_state("ready", ring_dir, 1)
        changed = server.json(f"/change?how={how}")
        for _ in range(3):
            server.get("/garbage?n=60000")
            server.get("/collect?generation=0")
        now = server.json("/state")
        for name in ("enabled", "thresholds", "debug"):
            assert now[name] == changed[name]


@pytest.mark.parametrize("how", ["thresholds", "debug"])
def test_later_is_said(how: str, system_python: Interpreter, ring_dir: Path) -> None:
    """At any look: here, when the collector runs again."""
    with gunicorn(system_python, ring_dir, workers=1) as server:
        server.workers_in_state("ready", ring_dir, 1)
        server.get(f"/change?how={how}")

        def look() -> Process | None:
            server.get("/garbage?n=60000")
            (process,) = (p for pid, p in by_pid(ring_dir).items() if pid != server.pid)
            return process if process.state == "standing-back" else None

        reason = wait_for("the state standing-back", look).reason
        assert OWN[how][1] in reason
        assert ("after us" in reason) == (how == "thresholds")


def forced(server: Server, ring_dir: Path) -> dict[str, Any]:
    (process,) = server.workers_in_state("ready", ring_dir, 1)
    assert process.frozen_objects > 20000
    return server.json("/state")


@pytest.mark.parametrize("how", ["thresholds", "freeze", "debug"])
def test_force_overrides(how: str, system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"APP_GC": how, "GCPRELOAD_FORCE": "1"}
    with gunicorn(system_python, ring_dir, workers=1, **settings) as server:
        state = forced(server, ring_dir)
        kept = [5, 6] if how == "thresholds" else [10, 10]
        assert state["thresholds"] == [50000, *kept]
        assert state["frozen"] > 20000
