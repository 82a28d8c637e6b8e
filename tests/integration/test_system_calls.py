"""docs/system-calls.md: for those who write seccomp filters."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from lib.paths import APPS, LIBRARY, ROOT
from lib.run import environment, run
from venvs import Interpreter

TEXT = (ROOT / "docs" / "system-calls.md").read_text()
PYTHONS_OWN, ADDED = TEXT.split("| when | system calls |")
DOCUMENTED = set(re.findall(r"`([a-z][a-z0-9_]+)`", ADDED))
LEFT_OUT = set(re.findall(r"`([a-z][a-z0-9_]+)`", PYTHONS_OWN.split("left out:")[1]))


def calls(python: Interpreter, ring_dir: Path, **settings: str) -> set[str]:
    """The names of all that a server makes; without the library where there are no settings."""
    log = ring_dir / "strace"
    command = ["strace", "-f", "-qq", "-o", str(log)]
    if settings:
        command += ["-E", f"LD_PRELOAD={LIBRARY}"]
    env = environment(ring_dir, **settings)
    del env["LD_PRELOAD"]
    done = run([*command, python.path, APPS / "ready_once.py", "churn"], env)
    if done.returncode != 0:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode()}")
    tuned = settings.get("GCPRELOAD_MODE", "off") != "off"
    assert (json.loads(done.stdout)["frozen"] > 1000) == tuned
    return set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", log.read_text(), re.M))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])
@pytest.mark.parametrize("ring", ["auto", "off"])
def test_all_are_named(
    mode: str, ring: str, one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    settings = {"GCPRELOAD_MODE": mode, "GCPRELOAD_RING": ring, "GCPRELOAD_GROWTH": "0"}
    plain = calls(one_of_two_pythons, ring_dir)
    more = calls(one_of_two_pythons, ring_dir, **settings) - plain
    assert more <= DOCUMENTED | LEFT_OUT
    assert ("flock" in more) == (ring == "auto")
    assert ("clone" in more) == (mode == "concurrent")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("how", [{"GCPRELOAD_MODE": "off"}, {"GCPRELOAD_DISABLE": "1"}], ids=str)
def test_none_when_off(how: dict[str, str], system_python: Interpreter, ring_dir: Path) -> None:
    # What may be said of the settings goes to descriptor 2 if that is still what it was.
    said = set() if "GCPRELOAD_DISABLE" in how else {"fstat"}
    assert calls(system_python, ring_dir, **how) - said <= calls(system_python, ring_dir)
