"""What garbage holds is given back in time: memory and files, which no count of objects has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS
from lib.run import environment, run
from venvs import Interpreter

modes = pytest.mark.parametrize("mode", ["freeze", "idle"])


def served(python: Interpreter, ring_dir: Path, mode: str, *words: str) -> dict[str, Any]:
    command = [python.path, "-W", "ignore", APPS / "holding_server.py", *words]
    done = run(command, environment(ring_dir, GCPRELOAD_MODE=mode))
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert told["thresholds"][0] >= 10000, "it was made ready"
    return told


@modes
def test_files(one_of_two_pythons: Interpreter, mode: str, ring_dir: Path) -> None:
    """2 000 of them, where 256 may be open."""
    assert served(one_of_two_pythons, ring_dir, mode, "file", "2000", "256")["wrong"] == ""


@modes
def test_memory(one_of_two_pythons: Interpreter, mode: str, ring_dir: Path) -> None:
    """A gigabyte in all."""
    told = served(one_of_two_pythons, ring_dir, mode, "megabyte", "1000", "1024")
    assert told["wrong"] == ""
    assert told["mb"] < 500
