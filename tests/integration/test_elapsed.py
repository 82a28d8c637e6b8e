"""Times that are differences of two reads of a clock."""

from __future__ import annotations

import json
from pathlib import Path

from lib.rings import command
from lib.server import gunicorn
from venvs import Interpreter

CENTURY = 100 * 365 * 86400


def test_of_a_worker_without_a_collection(server_python: Interpreter, ring_dir: Path) -> None:
    """Forked after the application was loaded, it is ready before it has collected anything."""
    settings = {"GUNICORN_CMD_ARGS": "--preload", "GCPRELOAD_BASELINE": "3600"}
    with gunicorn(server_python, ring_dir, **settings) as server:
        pids = {process.pid for process in server.workers_in_state("baseline", ring_dir)}
        report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
    spent = [
        period["seconds"]
        for process in report["processes"]
        for period in process["periods"]
        if process["pid"] in pids and period["period"] == "startup"
    ]
    assert len(spent) == 2
    assert all(0 < seconds < CENTURY for seconds in spent)
