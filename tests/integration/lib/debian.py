"""Another Debian than this machine's, under build/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from venvs import clean_environment

from lib.paths import ROOT
from lib.run import run


def other_debian(name: str) -> Path:
    """Its root directory, made by scripts/setup NAME; the test is skipped where it cannot be."""
    if os.geteuid() != 0:
        pytest.skip(f"only root can run programs of {name}")
    done = run([ROOT / "scripts" / "setup", name], clean_environment())
    reason = done.stderr.decode().strip().splitlines()
    if done.returncode == 2:
        pytest.skip(f"no {name} to test in: {reason[-1]}")
    assert done.returncode == 0, reason
    return ROOT / "build" / name
