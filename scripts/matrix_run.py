#!/usr/bin/env python3
"""Runs real servers, task queues and jobs on stock Python and in each mode, and compares what was
done in them with docs/matrix.json."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fnmatch
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

import matrix_cell
import matrix_queues
import matrix_web
import venvs
from bench_common import ROOT, Failed
from matrix_cell import Facts, Setting, Stop, Stopped
from matrix_render import render
from matrix_verdict import Row, compare, has_fault, row_of, row_without
from matrix_workload import APPS, Workload, requirements
from venvs import Interpreter

EXPECTED = ROOT / "docs" / "matrix.json"
HOME = ROOT / "build" / "matrix"
LIBRARY = ROOT / "build" / "libgcpreload.so"
SETTLES_LATER = 3  # times patience: half a minute of work may have to show that it is ready


def say(text: str) -> None:
    print(f"matrix: {text}", file=sys.stderr, flush=True)


def everything() -> list[Workload]:
    return [*matrix_web.rows(), *matrix_queues.rows()]


@dataclass(frozen=True)
class Task:
    workload: Workload
    python: Interpreter

    @property
    def version(self) -> str:
        return f"{self.python.minor[0]}.{self.python.minor[1]}"

    @property
    def key(self) -> tuple[str, str, str]:
        return self.workload.group, self.workload.name, self.version

    def __str__(self) -> str:
        return f"{self.workload.title}, {self.version}"


def key_of(row: Row) -> tuple[str, str, str]:
    return row["group"], row["name"], row["python"]


# ---- what was measured before ----


class Results:
    """A file for each row, below build/matrix: what was measured, of which library and program."""

    def __init__(self, library: Path) -> None:
        self.place = HOME / "rows"
        self.place.mkdir(parents=True, exist_ok=True)
        self.library = library.read_bytes()

    def _digest(self, task: Task) -> str:
        """Of all that the row is made of."""
        text = f"{task.workload} {task.python} {requirements(task.workload.env)}"
        text += f"{matrix_cell.HEAP} {matrix_cell.JOBS} {matrix_cell.FINDS_HOME}"
        parts = [self.library, text.encode()]
        for path in sorted(APPS.rglob("*.py")):
            if path.stem in text or path.stem in ("work", "talk", "wsgi", "asgi"):
                parts.append(path.read_bytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def _file(self, task: Task) -> Path:
        return self.place / (re.sub(r"[^\w.]+", "-", str(task)) + ".json")

    def of(self, task: Task) -> Row | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._file(task).read_text())
            if kept["digest"] == self._digest(task):
                cells = [Facts(**one) for one in kept["facts"]]
                return row_of(task.workload, task.version, kept["version"], cells)
        return None

    def keep(self, task: Task, version: str, cells: Sequence[Facts]) -> None:
        facts = [dataclasses.asdict(one) for one in cells]
        kept = {"digest": self._digest(task), "version": version, "facts": facts}
        file = self._file(task)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(kept, indent=1))
        part.replace(file)


# ---- a run ----


@dataclass
class Run:
    options: argparse.Namespace
    library: Path
    expected: dict[tuple[str, str, str], Row]
    results: Results
    stop: Stop = field(default_factory=Stop)
    programs: dict[tuple[str, str], str] = field(default_factory=dict)  # or why there is none
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)  # what was bad the first time only
    found: dict[tuple[str, str, str], Row] = field(default_factory=dict)

    def make_environments(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            env, python = task.workload.env, task.python
            if (env, str(python)) in self.programs:
                continue
            try:
                program = venvs.venv(env, python) if env else python.path
            except subprocess.CalledProcessError:
                say(f"scripts/requirements/{env}.txt cannot be installed on {python}")
                program = ""
            self.programs[env, str(python)] = program

    def measure(self, task: Task) -> Row:
        program = self.programs[task.workload.env, str(task.python)]
        why = task.workload.missing()
        if not program:
            why = f"scripts/requirements/{task.workload.env}.txt cannot be installed"
        if why:
            return row_without(task.workload, task.version, why)
        patience = self.options.patience * (SETTLES_LATER if task.workload.serves else 1)
        setting = Setting(task.workload, program, self.library, patience, self.stop)
        cells = list(matrix_cell.row_of_cells(setting))
        version = package_version(task.workload, program)
        self.results.keep(task, version, cells)
        return row_of(task.workload, task.version, version, cells)

    def is_bad(self, task: Task, row: Row) -> bool:
        """Worse than expected, or not as it must be."""
        old = self.expected.get(task.key)
        return has_fault(row) or bool(old and compare(old, row)[0])

    def kept(self, task: Task) -> Row | None:
        """What was measured before, unless it is to be measured again."""
        row = None if self.options.again else self.results.of(task)
        return None if row and self.is_bad(task, row) else row

    def of(self, task: Task) -> Row:
        """What is bad is measured twice before it counts, since machines are shared and servers
        have races of their own; what the first time was is told, too."""
        row = self.measure(task)
        if self.is_bad(task, row):
            say(f"{task}: {short(row)}; once more")
            first, row = row, self.measure(task)
            if not self.is_bad(task, row):
                self.once.append(f"{task}: {short(first)}")
        return row

    def note(self, task: Task, row: Row) -> None:
        self.found[task.key] = row
        old = self.expected.get(task.key)
        if not old:
            return
        worse, better = compare(old, row)
        self.worse += [f"{task}: {change}" for change in worse]
        self.better += [f"{task}: {change}" for change in better]


def package_version(workload: Workload, program: str) -> str:
    if not workload.package:
        return ""
    code = f"from importlib.metadata import version; print(version({workload.package!r}))"
    done = subprocess.run(
        [program, "-c", code],
        env=venvs.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def short(row: Row) -> str:
    if row["error"]:
        return f"not run: {row['error']}"
    return " | ".join(row["modes"][mode]["verdict"] for mode in matrix_cell.MODES)


def in_turn(futures: Iterable[Future[Row]]) -> Iterator[Future[Row]]:
    """As they end. Not as_completed(): the kernel may give a signal to another thread, and this
    one, which runs the handler, would not wake up for it."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
        yield from done


def perform(run: Run, tasks: Sequence[Task]) -> None:
    """So many at a time; ends early by an exception, and then ends all that it started."""
    handle_signals(lambda number, _: ask_to_stop(run.stop, number))
    kept = {task: row for task in tasks if (row := run.kept(task))}
    for task, row in kept.items():
        run.note(task, row)
    if kept:
        say(f"{len(kept)} rows were measured with this library before")
    rest = [task for task in tasks if task not in kept]
    began, done = time.monotonic(), 0
    pool = ThreadPoolExecutor(run.options.jobs)
    futures: dict[Future[Row], Task] = {pool.submit(run.of, task): task for task in rest}
    try:
        for future in in_turn(futures):
            task, row = futures[future], future.result()
            run.note(task, row)
            done += 1
            left = (time.monotonic() - began) / done * (len(rest) - done)
            say(f"{done} of {len(rest)}, about {left / 60:.0f} min left; {task}: {short(row)}")
    finally:
        run.stop.asked = True
        pool.shutdown(cancel_futures=True)


# ---- what is to be run ----


def chosen_pythons(wanted: Sequence[str]) -> list[Interpreter]:
    """The distribution's own, and a newer one, if nothing was said."""
    if not wanted:
        own = venvs.system_interpreter()
        newer = [p for p in venvs.server_interpreters() if p.minor > own.minor]
        return [own, *newer]
    found = []
    for one in wanted:
        fitting = [p for p in venvs.supported_interpreters() if str(p).startswith(one)]
        fitting = [p for p in fitting if p.is_system] or fitting
        if not fitting:
            raise Failed(f"--python: no interpreter {one} was found (scripts/venvs.py list)")
        found.append(fitting[-1])
    return found


def matches(workload: Workload, patterns: Sequence[str]) -> bool:
    title = workload.title.lower()
    return any(fnmatch.fnmatch(title, one.lower()) or one.lower() in title for one in patterns)


def chosen(options: argparse.Namespace) -> tuple[list[Task], list[Task]]:
    """What is run, and what is left out of all that could be."""
    every = [
        Task(workload, python)
        for workload in everything()
        for python in chosen_pythons(options.python)
        if workload.runs_on(python)
    ]
    if options.only:
        taken = [task for task in every if matches(task.workload, options.only)]
        if not taken:
            raise Failed(f"--only: no row is named like that: {', '.join(options.only)}")
        return taken, []
    if options.all:
        return every, []
    own = venvs.system_interpreter()
    taken = [t for t in every if t.workload.fixed and (options.python or t.python == own)]
    return taken, [task for task in every if task not in taken]


def read_expected(file: Path) -> dict[tuple[str, str, str], Row]:
    if not file.exists():
        return {}
    return {key_of(row): row for row in json.loads(file.read_text())["rows"]}


def in_order(rows: dict[tuple[str, str, str], Row]) -> list[Row]:
    """As the rows stand in the tables; what is no longer there is left out."""
    order = {(one.group, one.name): number for number, one in enumerate(everything())}
    found = [row for row in rows.values() if (row["group"], row["name"]) in order]
    return sorted(
        found,
        key=lambda row: (
            order[row["group"], row["name"]],
            [int(part) for part in row["python"].split(".")],
        ),
    )


def write(rows: Sequence[Row], file: Path) -> None:
    """The JSON, a row a line, and the page beside it."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    file.write_text(f'{{"rows": [\n{lines}\n]}}\n')
    file.with_suffix(".md").write_text(render(rows))


# ---- signals ----


def handle_signals(how: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, how)


def ask_to_stop(stop: Stop, number: int) -> None:
    """While rows are measured: each thread ends what it started."""
    handle_signals(signal.SIG_IGN)
    stop.asked, stop.by = True, number


def stop_at_once(number: int, frame: FrameType | None) -> NoReturn:
    handle_signals(signal.SIG_IGN)
    raise SystemExit(128 + number)


# ---- the command ----


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every row, not the fixed part")
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="rows whose name has that in it, or matches it (may be given again)",
    )  # fmt: skip
    parser.add_argument(
        "--python", action="append", default=[], metavar="VERSION",
        help="such as 3.13 (default: the system's, and a newer one)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="run nothing: show the rows")
    parser.add_argument("--render", action="store_true", help="run nothing: write docs/matrix.md")
    parser.add_argument(
        "--write", action="store_true", help="put what is found into docs/matrix.json and .md"
    )
    parser.add_argument(
        "--again", action="store_true", help="also what was measured with this library already"
    )
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
        help="rows at a time, of four processes each (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="rows of this run into FILE; -: output")
    parser.add_argument(
        "--expected", type=Path, default=EXPECTED, metavar="FILE",
        help="what is compared with, and written, instead of docs/matrix.json",
    )  # fmt: skip
    parser.add_argument(
        "--library",
        type=Path,
        metavar="FILE",
        help="a build of it, instead of one that is made now",
    )
    parser.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS",
        help="a third of the time in which a server may become ready (%(default)g)",
    )  # fmt: skip
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs must be 1 at least")
    return options


def show_list(options: argparse.Namespace) -> None:
    options.all = not options.only
    for task in chosen(options)[0]:
        print(f"{'*' if task.workload.fixed else ' '} {task}")
    print("* is in the fixed part", file=sys.stderr)


def set_up(tasks: Sequence[Task]) -> None:
    if any(task.workload.missing() for task in tasks):
        subprocess.run([ROOT / "scripts" / "setup", "matrix"], check=False, stdout=sys.stderr)


def tell(run: Run, left_out: Sequence[Task]) -> None:
    for change in run.better:
        print(f"better: {change}")
    for first in run.once:
        print(f"once, and not again: {first}")
    for change in run.worse:
        print(f"WORSE: {change}")
    new = [key for key in run.found if key not in run.expected]
    print(
        f"{len(run.found)} rows: {len(run.worse)} cells worse, {len(run.better)} better than "
        f"{run.options.expected.name} says; {len(new)} rows are not in it"
    )
    if left_out:
        print(f"left out: {len(left_out)} rows, which --all runs: ", end="")
        print("; ".join(str(task) for task in left_out))


@contextlib.contextmanager
def copied(library: Path) -> Iterator[Path]:
    """Another build in the same tree changes nothing under us."""
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as name:
        os.chmod(name, 0o755)  # for a server that changes its user
        yield Path(shutil.copy(library, Path(name) / "libgcpreload.so"))


def matrix(options: argparse.Namespace) -> int:
    tasks, left_out = chosen(options)
    if not options.library:
        subprocess.run(["make", "-s", "-C", ROOT, "all"], check=True, stdout=sys.stderr)
    set_up(tasks)
    with copied(options.library or LIBRARY) as library:
        expected = read_expected(options.expected)
        run = Run(options, library, expected, Results(library))
        run.make_environments(tasks)
        try:
            perform(run, tasks)
        except Stopped:
            say("interrupted; what was measured is kept")
            return 128 + run.stop.by
    rows = in_order(run.found)
    if options.json:
        text = json.dumps(rows, indent=1) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    if options.write:
        write(in_order({**expected, **run.found}), options.expected)
    if options.json != "-":
        tell(run, left_out)
    return 1 if run.worse and not options.write else 0


def main() -> int:
    options = parse()
    handle_signals(stop_at_once)
    try:
        if options.list:
            show_list(options)
            return 0
        if options.render:
            write(in_order(read_expected(options.expected)), options.expected)
            return 0
        return matrix(options)
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
