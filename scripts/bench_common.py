"""What the benchmarks share: what is built for them, processes under measurement, numbers, tables.

Two cores that others use as well: nothing here is compared across runs. What is compared is
measured in turns, many times, and shown as a median with the middle half of the rounds.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import venvs
from bench_sure import LEAST_ROUNDS, median_interval
from venvs import Interpreter

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tests" / "bench"


class Failed(Exception):
    """Told to the user in one line."""


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


# ---- numbers ----


@dataclass(frozen=True)
class Spread:
    """A median, the middle half of what it is the median of, and how sure it is."""

    median: float
    low: float
    high: float
    rounds: int
    sure_from: float | None  # 95 %; None: of too few rounds, or of rounds of one process
    sure_to: float | None

    def text(self, show: str) -> str:
        return f"{show % self.median} ({show % self.low} to {show % self.high})"

    def sure(self, show: str) -> str:
        if self.sure_from is None:
            few = f"{self.rounds} rounds" if self.rounds < LEAST_ROUNDS else "one process"
            return f"{few}, no interval"
        return f"95 %: {show % self.sure_from} to {show % self.sure_to}"

    def json(self) -> dict[str, float | None]:
        return {
            name: None if value is None else round(value, 5) for name, value in vars(self).items()
        }


def spread(values: Sequence[float], one_process: bool = False) -> Spread:
    """Rounds of one process have in common what the next process would have otherwise: then there
    is no interval."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    sure = None if one_process else median_interval(values)
    return Spread(median, low, high, len(values), *(sure or (None, None)))


def quiet(values: Sequence[float], noise: Sequence[float]) -> list[float]:
    """Those of the quarter of the rounds in which something else took least time: a machine that
    others use runs at half its speed now and then, and a budget in nanoseconds means its own."""
    limit = sorted(noise)[len(noise) // 4]
    return [value for value, other in zip(values, noise) if other <= limit]


def blocks(values: Sequence[float], number: int) -> list[float]:
    """The medians of so many consecutive parts."""
    size = len(values) // number
    return [statistics.median(values[i * size : (i + 1) * size]) for i in range(number)]


@dataclass(frozen=True)
class Budget:
    """What DESIGN allows, and what was measured."""

    what: str
    measured: float
    limit: float
    unit: str
    noise: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured >= self.limit
        return self.measured <= self.limit

    def row(self) -> list[str]:
        sign = ">=" if self.at_least else "<="
        return [
            self.what,
            f"{self.measured:.3g}{self.unit}",
            f"{sign} {self.limit:g}{self.unit}",
            "met" if self.met else "MISSED",
            self.noise,
        ]

    def json(self) -> dict[str, Any]:
        return {**vars(self), "measured": round(self.measured, 5), "met": self.met}


@dataclass
class Table:
    """What is printed, and what --json has of it."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    figures: Any
    notes: str = ""

    def markdown(self) -> None:
        print(f"\n**{self.title}**\n")
        for line in (self.heads, ["---"] * len(self.heads), *self.rows):
            print(f"| {' | '.join(line)} |")

    def print(self) -> None:
        print(f"\n{self.title}\n")
        lines = [self.heads, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heads))]
        for number, line in enumerate(lines):
            cells = [cell.ljust(width) for cell, width in zip(line, widths)]
            print("  ".join(cells).rstrip())
            if number == 0:
                print("  ".join("-" * width for width in widths))
        if self.notes:
            print(f"\n{self.notes}")


# ---- what is built ----


@dataclass(frozen=True)
class Built:
    """Our library and the benchmarks' own programs, in a directory of this run: another build
    in the same tree changes nothing under us."""

    directory: Path
    library: Path
    empty: Path  # a library without anything in it

    def compile(self, source: str, name: str, *flags: str) -> Path:
        path = self.directory / name
        command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(path)]
        done = subprocess.run(
            [*command, str(SOURCES / source), "-ldl"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Failed(f"cc failed for {source}:\n{done.stderr}")
        return path

    def shared(self, source: str, name: str, *flags: str) -> Path:
        return self.compile(source, name, "-fPIC", "-shared", *flags)

    def module(self, python: Interpreter) -> Path | None:
        """The Python module collections.c for it, or None where it has no headers."""
        include = ask_python(python, "include")
        if not (Path(include) / "Python.h").exists():
            return None
        return self.shared("collections.c", f"collections-{python}.so", f"-I{include}")


def ask_python(python: Interpreter, path: str) -> str:
    program = f"import sysconfig; print(sysconfig.get_paths()[{path!r}])"
    return subprocess.run(
        [python.path, "-c", program],
        env=venvs.clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@contextmanager
def built(library: str | None) -> Iterator[Built]:
    if library is None:
        say("building")
        done = subprocess.run(
            ["make", "-s", "-C", str(ROOT), "all"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Failed(f"make failed:\n{done.stdout}{done.stderr}")
        library = str(ROOT / "build" / "libgcpreload.so")
    home = ROOT / "build" / "bench"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as name:
        directory = Path(name)
        ours = Path(shutil.copy(library, directory / "libgcpreload.so"))
        made = Built(directory, ours, directory / "empty.so")
        made.shared("empty.c", made.empty.name)
        yield made


@contextmanager
def memory_dir() -> Iterator[Path]:
    """A fresh directory on tmpfs."""
    with tempfile.TemporaryDirectory(prefix="gcpreload-bench-", dir="/dev/shm") as name:
        yield Path(name)


def environment(preload: Path | None = None, **settings: str) -> dict[str, str]:
    env = {**venvs.clean_environment(), "PYTHONDONTWRITEBYTECODE": "1", "GCPRELOAD_CONF": ""}
    if preload is not None:
        env["LD_PRELOAD"] = str(preload)
    return {**env, **settings}


# ---- processes under measurement ----


class Worker:
    """A process that answers each line with numbers. Use it in a with statement."""

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(
            self.command,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{' '.join(self.command)} ended with {self.process.wait()}")
        return line.strip()

    def ask(self, line: str) -> list[float]:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
        return [float(word) for word in self.hear().split()]


def machine() -> dict[str, str]:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": found[1] if found else "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": Path("/proc/sys/kernel/osrelease").read_text().strip(),
    }
