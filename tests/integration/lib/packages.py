"""The wheel and the source release, made and installed as a user does it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

from venvs import Interpreter, system_interpreter, venv

from lib.paths import BUILD, ROOT, SET_UP_DEADLINE
from lib.run import Completed, environment, run

DIST = BUILD / "dist"


def done(completed: Completed[bytes]) -> str:
    """What it wrote; it must have ended well."""
    assert completed.returncode == 0, (completed.stdout + completed.stderr).decode()
    return completed.stdout.decode()


@functools.cache
def made(what: str) -> Path:
    """What `make WHAT` made, as its last line says."""
    words = ["make", "-j2", "--no-print-directory", "-C", ROOT, what]
    return ROOT / done(run(words, environment(), deadline=SET_UP_DEADLINE)).split("\n")[-2]


def pip(python: str | Path, *words: str | Path, env: dict[str, str] | None = None) -> str:
    """The pip of the tests' tools, for that Python. There is no registry."""
    tools = venv("tools", system_interpreter())
    start = [tools, "-m", "pip", "--disable-pip-version-check", "--python", python]
    return done(run([*start, *words], env or environment(), deadline=SET_UP_DEADLINE))


@dataclass
class Installed:
    """In one of the ways to install it."""

    place: Path  # all of it is below
    python: str | Path
    command: Path
    env: dict[str, str] = field(default_factory=environment)
    options: tuple[str | Path, ...] = ()

    def install(self, *what: str | Path) -> None:
        offline = ["--no-index", "--no-cache-dir", "--find-links", DIST]
        pip(self.python, "install", *offline, *self.options, *what, env=self.env)

    def uninstall(self) -> None:
        force = self.options[1:] if "--user" in self.options else ()
        pip(self.python, "uninstall", "-y", *force, "gcpreload", env=self.env)

    def path(self) -> Path:
        return Path(done(run([self.command, "path"], self.env)).rstrip("\n"))


def in_venv(python: Interpreter, place: Path) -> Installed:
    home = place / "venv"
    done(run([python.path, "-m", "venv", "--without-pip", home], environment()))
    return Installed(place, home / "bin" / "python", home / "bin" / "gcpreload")


def in_target(python: Interpreter, place: Path) -> Installed:
    target = place / "target"
    command = target / "bin" / "gcpreload"
    env = environment(PYTHONPATH=str(target))
    return Installed(place, python.path, command, env, ("--target", target))


def for_user(python: Interpreter, place: Path) -> Installed:
    own = place / ".local"
    options = ("--user", "--break-system-packages")
    env = environment(HOME=str(place))
    return Installed(own, python.path, own / "bin" / "gcpreload", env, options)


WAYS = {"venv": in_venv, "target": in_target, "user": for_user}
