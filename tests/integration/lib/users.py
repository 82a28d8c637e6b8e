"""Other users than the one that runs the tests, who must be root for that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from venvs import Interpreter

from lib.paths import APPS

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def nobodys_puppet(python: Interpreter, ring_dir: Path) -> list[str | Path]:
    """The puppet's command as another user's, who may write to ring_dir from now on."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    look = subprocess.run([*NOBODY, "test", "-r", APPS / "puppet.py"], check=False)
    if look.returncode != 0:
        pytest.skip("other users may not read this directory")
    ring_dir.chmod(0o1777)
    return [*NOBODY, python.path, APPS / "puppet.py"]
