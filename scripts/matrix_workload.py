"""What a row of the matrix is: a program as people run it, and how work is sent to it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from bench_common import ROOT
from venvs import Interpreter

APPS = ROOT / "tests" / "apps"
MATRIX_APPS = APPS / "matrix"
REQUIREMENTS = ROOT / "scripts" / "requirements"

HTTP, KEEP_ALIVE, UNIX, LINES = "http", "keep-alive", "unix", "lines"


@dataclass(frozen=True)
class Workload:
    """In its command {python} is the environment's interpreter (its other programs say where they
    were made, which may be elsewhere); {port}, {socket}, {place} and {redis} are this run's own;
    {apps} is tests/apps, {matrix} the directory matrix in it."""

    group: str
    name: str
    command: tuple[str, ...]
    env: str = ""  # of scripts/requirements; "": the interpreter alone
    package: str = ""  # whose version is shown
    asked: str = HTTP  # LINES: of the pipe MATRIX_IN; see tests/apps/matrix/talk.py
    asker: str = ""  # the module that sends what comes in lines, in a process of its own
    workers: int = 1  # processes that answer
    leader_counts: bool = (
        False  # those that answer are gone at once: who started them is looked at
    )
    says_port: bool = False  # it chooses it itself, and prints it
    serves: bool = True  # False: a job with children, of which nothing but "no harm" is expected
    then: str = ""  # what an operator does once it serves: hup, usr2
    redis: bool = False
    other_user: bool = False  # it writes its measurements as somebody else
    files: tuple[str, ...] = ()  # of Debian packages, see scripts/setup matrix
    system_only: bool = False  # these are built for the distribution's own Python
    since: tuple[int, int] = (3, 7)
    fixed: bool = False  # in the part that is run by default

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"

    def missing(self) -> str:
        """What scripts/setup matrix installs and is not there; empty: nothing."""
        for file in self.files:
            if not os.path.exists(file):
                return f"{file} is not installed"
        if self.redis and not shutil.which("redis-server"):
            return "redis-server is not installed"
        return ""

    def runs_on(self, python: Interpreter) -> bool:
        return python.minor >= self.since and (python.is_system or not self.system_only)


@dataclass(frozen=True)
class Missing:
    """A row that is not run, and what it would need."""

    group: str
    name: str
    needs: str


def requirements(env: str) -> str:
    return (REQUIREMENTS / f"{env}.txt").read_text() if env else ""
