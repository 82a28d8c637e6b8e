#!/usr/bin/env python3
"""Find the Python interpreters of this machine, and keep virtual environments under build/venv.

    scripts/venvs.py list               what was found
    scripts/venvs.py make NAME[:V] ...  make the environment NAME (a file of scripts/requirements)
                                        if it is not there, and print the path of its python; V is
                                        a version as shown by list, or "servers"

Interpreters are looked for on PATH and where the usual version managers put them. An
environment is made once for an interpreter and a list of requirements; several runs may ask for
it at the same time.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from kept import Kept

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / "build" / "venv"
REQUIREMENTS = ROOT / "scripts" / "requirements"

MANAGERS = (
    "$PYENV_ROOT/versions/*/bin",
    "~/.pyenv/versions/*/bin",
    "~/.asdf/installs/python/*/bin",
    "~/.local/share/uv/python/*/bin",
    "~/.local/share/mise/installs/python/*/bin",
    "/opt/python*/bin",
    "/opt/python/*/bin",
    "/opt/hostedtoolcache/Python/*/*/bin",
    "/usr/local/bin",
)
NAME = re.compile(r"python([23](\.\d+)?t?)?")

# Must run on Python 2.7 as well. Debian's own python3 says Py_ENABLE_SHARED and is linked
# statically all the same, so what the process has mapped is looked at.
PROBE = r"""
import json, os, platform, sys, sysconfig
maps = open("/proc/self/maps").read()
json.dump({
    "path": os.path.realpath(sys.executable),
    "version": list(sys.version_info[:3]),
    "implementation": platform.python_implementation(),
    "shared": "libpython" in maps,
    "with_gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
}, sys.stdout)
"""


@dataclass(frozen=True)
class Interpreter:
    """One Python of this machine."""

    path: str
    version: tuple[int, int, int]
    shared: bool  # linked with libpython.so, or the whole of Python in one executable
    with_gil: bool

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    @property
    def is_system(self) -> bool:
        return self.path.startswith("/usr/bin/")

    def environment(self, name: str) -> str:
        return _made(name, self)

    def __str__(self) -> str:
        kind = "shared" if self.shared else "static"
        gil = "" if self.with_gil else "t"
        return f"{'.'.join(map(str, self.version))}{gil}-{kind}"


def clean_environment() -> dict[str, str]:
    """The environment without what would change a Python or put the library into it."""
    drop = re.compile(r"LD_PRELOAD|PYTHON.*|GCPRELOAD_.*|OTEL_.*|VIRTUAL_ENV|GUNICORN_CMD_ARGS")
    return {name: value for name, value in os.environ.items() if not drop.fullmatch(name)}


def _directories() -> Iterator[str]:
    yield from os.environ.get("PATH", "").split(os.pathsep)
    for pattern in MANAGERS:
        yield from sorted(glob.glob(os.path.expanduser(os.path.expandvars(pattern))))


def _is_program(path: str) -> bool:
    """ELF only: a version manager's shim is a script, and stands for something found elsewhere."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False


def _candidates() -> set[str]:
    found = set()
    for directory in _directories():
        try:
            names = os.listdir(directory or ".")
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            if NAME.fullmatch(name) and _is_program(path):
                found.add(os.path.realpath(path))
    return found


def _probe(path: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [path, "-E", "-c", PROBE],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        facts = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if facts["implementation"] != "CPython":
        return None
    major, minor, micro = facts["version"]
    return Interpreter(facts["path"], (major, minor, micro), facts["shared"], facts["with_gil"])


@functools.cache
def every_interpreter() -> list[Interpreter]:
    """Every CPython found, oldest first; of each minor version and kind the newest only."""
    found: dict[tuple[object, ...], Interpreter] = {}
    for path in sorted(_candidates()):
        python = _probe(path)
        if python is None:
            continue
        key = (python.minor, python.shared, python.with_gil)
        other = found.get(key)
        if other is None or (other.version, other.is_system) < (python.version, python.is_system):
            found[key] = python
    return sorted(found.values(), key=lambda p: (p.version, p.shared))


def supported_interpreters() -> list[Interpreter]:
    """Those that the library tunes."""
    return [p for p in every_interpreter() if p.minor >= (3, 7)]


def system_interpreter() -> Interpreter:
    """The distribution's own python3, else the newest that was found."""
    found = supported_interpreters()
    own = [p for p in found if p.is_system]
    if not found:
        raise SystemExit("no Python of version 3.7 or later was found")
    return (own or found)[-1]


def server_interpreters() -> list[Interpreter]:
    """The fixed part of the tests: the system's own, and shared ones of 3.8 and 3.13."""
    wanted = [p for p in supported_interpreters() if p.shared and p.with_gil]
    wanted = [p for p in wanted if p.minor in ((3, 8), (3, 13))]
    return [system_interpreter(), *(p for p in wanted if not p.is_system)]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def venv(name: str, python: Interpreter) -> str:
    """Path of the python of the environment NAME for that interpreter; made if need be."""
    return python.environment(name)


def _once(
    name: str, of: str, label: str, program: str, steps: Callable[[Path], list[list[str]]]
) -> Path:
    """The directory that these commands make; again when its requirements change, or its program
    is gone. What they have not finished goes, however they end: an environment cannot be made
    elsewhere and moved, its programs say where it is."""
    requirements = REQUIREMENTS / f"{name}.txt"
    text = f"{of}\n{label}\n{requirements.read_text()}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    home = VENVS / f"{name}-{label}-{digest}"
    stamp = home / ".complete"
    with _locked(VENVS / f".{home.name}.lock"):
        if not (stamp.exists() and os.access(home / program, os.X_OK)):
            shutil.rmtree(home, ignore_errors=True)
            print(f"setup: making {home.relative_to(ROOT)}", file=sys.stderr, flush=True)
            try:
                for step in steps(home):
                    _run(step)
                stamp.touch()
            finally:
                if not stamp.exists():
                    shutil.rmtree(home, ignore_errors=True)
    return home


def _run(step: list[str]) -> None:
    """In a session of its own: Ctrl-C on a terminal is ours to tell of, not each program's."""
    process = Kept(step, clean_environment(), stdout=sys.stderr)
    try:
        status = process.wait()
    finally:
        process.end(1)
    if status != 0:
        raise subprocess.CalledProcessError(status, step)


def _install(program: str, name: str, *options: str) -> list[str]:
    install = [program, "-m", "pip", "--disable-pip-version-check", "install", "-q", *options]
    return [*install, "--no-warn-script-location", "-r", str(REQUIREMENTS / f"{name}.txt")]


def _made(name: str, python: Interpreter) -> str:
    def steps(home: Path) -> list[list[str]]:
        return [
            [python.path, "-m", "venv", str(home)],
            _install(str(home / "bin" / "python"), name),
        ]

    return str(_once(name, python.path, str(python), "bin/python", steps) / "bin" / "python")


def wheels(name: str, minor: tuple[int, int]) -> Path:
    """A directory with the packages of NAME, for a Python that is not of this machine."""
    options = ["--only-binary=:all:", "--python-version", ".".join(map(str, minor))]
    for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28"):
        options += ["--platform", f"{tag}_{platform.machine()}"]

    def steps(home: Path) -> list[list[str]]:
        pip = venv("tools", system_interpreter())
        return [_install(pip, name, *options, "--target", str(home))]

    return _once(name, "wheels", ".".join(map(str, minor)), ".", steps)


def sources(name: str, part: str) -> Path:
    """A directory with that PART of the package's source release, of which an environment's
    requirements say which one."""
    lines = (REQUIREMENTS / "suites.txt").read_text().splitlines()
    (release,) = [line for line in lines if line.startswith(f"{name}==")]

    def steps(home: Path) -> list[list[str]]:
        pip = venv("tools", system_interpreter())
        download = [pip, "-m", "pip", "--disable-pip-version-check", "download", "-q"]
        download += ["--no-deps", f"--no-binary={name}", "--dest", str(home), release]
        file = str(home / f"{release.replace('==', '-')}.tar.gz")
        unpack = ["tar", "-xf", file, "-C", str(home), "--strip-components=1"]
        return [download, [*unpack, "--wildcards", f"*/{part}/*"], ["rm", file]]

    return _once("suites", release, f"{name}-{part}", part, steps)


def _choose(wanted: str) -> list[Interpreter]:
    if wanted == "servers":
        return server_interpreters()
    if not wanted:
        return [system_interpreter()]
    found = [p for p in every_interpreter() if str(p).startswith(wanted)]
    if not found:
        raise SystemExit(f"venvs.py: no interpreter {wanted} was found")
    return found[-1:]


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """As an exception, so that what is half made goes; a second signal changes nothing."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    print("setup: interrupted", file=sys.stderr, flush=True)
    raise SystemExit(128 + number)


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the interpreters that were found")
    make = commands.add_parser("make", help="make an environment, print its python")
    make.add_argument("what", nargs="+", metavar="NAME[:VERSION]")
    options = parser.parse_args()
    if options.command == "list":
        for python in every_interpreter():
            print(f"{python!s:20} {python.path}")
        return 0
    try:
        for what in options.what:
            name, _, wanted = what.partition(":")
            for python in _choose(wanted):
                print(venv(name, python))
    except subprocess.CalledProcessError as error:
        print(f"venvs.py: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
