"""Several users on one machine: nobody is left out without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.paths import COMMAND
from lib.puppet import Puppet
from lib.run import environment, run
from lib.users import NOBODY, nobodys_puppet
from venvs import Interpreter

STRANGER = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]


@pytest.fixture
def nobodys(system_python: Interpreter, ring_dir: Path) -> Puppet:
    """A process of another user's, with measurements."""
    return Puppet(system_python, ring_dir, program=nobodys_puppet(system_python, ring_dir))


@pytest.mark.parametrize("words", [["ps"], ["report"], ["top", "--once"], ["export", "--once"]])
def test_whose_processes_are_left_out(words: list[str], nobodys: Puppet, ring_dir: Path) -> None:
    """Root is told of them, and another user that it may not see them."""
    if not (COMMAND.parent / f"gcpreload-{words[0]}").exists() and len(words) > 1:
        pytest.skip(f"gcpreload-{words[0]} was not made")
    command = [COMMAND, *words, "--dir", ring_dir]
    with nobodys as puppet:
        puppet.do("one = listen()", "arm(one)")
        assert "not shown: gcpreload-65534 (1 process)" in said(command)
        assert "cannot be read: gcpreload-65534;" in said([*STRANGER, *command])
        assert "gcpreload-65534" not in said([*command, "--all-users"])
        assert "gcpreload-65534" not in said([*NOBODY, *command])


def said(command: list[str | Path]) -> str:
    done = run(command, environment())
    assert done.returncode == 0
    return done.stderr.decode()
