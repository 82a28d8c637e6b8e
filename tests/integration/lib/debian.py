"""Another Debian than this machine's, under build/, and the interpreters in it."""

from __future__ import annotations

import functools
import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from venvs import Interpreter, clean_environment, wheels

from lib.mounts import need_mounts
from lib.paths import ROOT, SET_UP_DEADLINE
from lib.run import Completed, environment, run

PROBE = "import json, sys; print(json.dumps(sys.version_info[:3]))"


@functools.cache
def _set_up(name: str) -> Completed[bytes]:
    return run([ROOT / "scripts" / "setup", name], clean_environment(), deadline=SET_UP_DEADLINE)


def other_debian(name: str, directory: str = "") -> Path:
    """Its root directory, made by scripts/setup NAME; the test is skipped where it cannot be."""
    need_mounts()
    done = _set_up(name)
    reason = done.stderr.decode().strip().splitlines()
    if done.returncode == 2:
        pytest.skip(f"no {name} to test in: {reason[-1]}")
    assert done.returncode == 0, reason
    return ROOT / "build" / (directory or name)


@dataclass(frozen=True)
class Inside(Interpreter):
    """One in another Debian. Its programs are scripts that go there: same paths, same pid."""

    root: Path
    name: str
    scripts: Path

    def environment(self, name: str) -> str:
        """uvicorn takes uvloop where it is; what else the servers need is one environment."""
        what = "newer-uvloop" if name == "uvloop" else "newer"
        packages = shlex.quote(str(wheels(what, self.minor)))
        return _script(self, f"{self.name}-{what}", f"PYTHONPATH={packages}")


def _script(python: Inside, name: str, *settings: str) -> str:
    script = python.scripts / name
    if not script.exists():
        words = ["exec", str(ROOT / "scripts" / "inside"), str(python.root)]
        words += ["env", *settings] if settings else []
        command = " ".join([*words, python.name])
        script.write_text(f'#!/bin/sh\n{command} "$@"\n')
        script.chmod(0o755)
    return str(script)


def interpreter(root: Path, name: str, scripts: Path) -> Interpreter:
    """The one of that name there; skipped where that Debian has it no longer."""
    if not (root / "usr" / "bin" / name).exists():
        pytest.skip(f"{root.name} has no {name}")
    where = Inside(str(scripts / name), (0, 0, 0), False, True, root, name, scripts)
    done = run([_script(where, name), "-c", PROBE], environment())
    assert done.returncode == 0, done.stderr
    return replace(where, version=tuple(json.loads(done.stdout)))
