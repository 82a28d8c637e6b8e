"""`gcpreload attach` on 3.14, which may be told to run nothing from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
import test_attach
import test_attach_killed
import test_attach_refused
import test_incremental
from lib.attacher import ROUNDS, attach, refusal, running
from test_attach_refused import started
from venvs import Interpreter

python = test_incremental.python


@pytest.fixture
def one_of_two_pythons(python: Interpreter) -> Interpreter:
    return python


test_attach_and_detach = test_attach.test_attach_and_detach
test_shutting_down = test_attach_refused.test_shutting_down
test_at_every_step = test_attach_killed.test_at_every_step


@pytest.mark.parametrize("what", [what for what in ROUNDS if what != "interpreters"])
def test_whatever_it_does(python: Interpreter, what: str, ring_dir: Path) -> None:
    with running(python, what) as target:
        assert attach(target.pid, "--dir", ring_dir).returncode == 0
        target.lines(5)
        assert attach(target.pid, verb="detach").returncode == 0
        target.lines(5)
        target.is_left_alone()


def test_switched_off(python: Interpreter) -> None:
    source = "import sys\nprint(1, flush=True)\nsys.stdin.read()"
    with started(python.path, "-X", "disable-remote-debug", "-c", source) as process:
        assert "remote debugging is switched off in it" in refusal(attach(process.pid))
