"""What is done where GCPRELOAD_MODE is not set: concurrent, and idle where that cannot be."""

from __future__ import annotations

from pathlib import Path

from lib.paths import COMMAND
from lib.puppet import Puppet
from lib.rings import command
from lib.server import Server, gunicorn
from test_concurrent import ARMED, marks_here
from venvs import Interpreter

DEFAULT = {"GCPRELOAD_MODE": ""}


def test_on_each_interpreter(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, **DEFAULT) as puppet:
        puppet.do(*ARMED)
        shown = puppet.wait_for("ready")
    assert shown.mode == ("concurrent" if marks_here(python) else "idle")
    assert bool(shown.reason) != marks_here(python), "it says why it is the other one"


def test_on_a_server(system_python: Interpreter, ring_dir: Path) -> None:
    """The one line that users type: no setting at all."""
    with gunicorn(system_python, None, GCPRELOAD_DIR=str(ring_dir)) as plain:
        pass
    with Server([COMMAND, "run", "--", *plain.command], plain.env) as server:
        shown = server.workers_in_state("ready", ring_dir)
        assert {process.mode for process in shown} == {"concurrent"}


def test_told_to_be_ready(system_python: Interpreter, ring_dir: Path) -> None:
    """Of a process that only observes nobody said how it is to be tuned."""
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="observe") as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("observing")
        command("ready", "--dir", ring_dir, "--no-wait", str(puppet.pid))
        assert puppet.wait_for("ready", "arm(one)").mode == "concurrent"
