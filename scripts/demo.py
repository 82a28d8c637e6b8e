#!/usr/bin/env python3
"""What the library does: a gunicorn under load, without and with it, in one table.

Started by scripts/demo, which installs what is missing. Builds, then serves tests/apps/demo_app.py
in turns with the interpreter's own collector and with ours, each turn with new processes, and
measures both by the same ring: in the turns without, the library is there as well, and only
observes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Callable, NoReturn

import load
import venvs
from kept import Kept

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ROOT / "build" / "gcpreload"
LIBRARY = ROOT / "build" / "libgcpreload.so"
WORKERS = 2
MODES = {"stock": "observe", "gcpreload": "concurrent"}
STATES = {"stock": "observing", "gcpreload": "ready"}
PROGRAMS = {  # that are there where their libraries are
    "top": "both, live, in this terminal",
    "export": "a page, and Prometheus' /metrics: http://127.0.0.1:9721/",
}
DEADLINE = 60.0

Json = dict[str, Any]


class Failed(Exception):
    """Told to the user in one line."""


class Progress:
    """One line that is written over on a terminal, and one line a step elsewhere."""

    def __init__(self) -> None:
        self.rewrites = sys.stderr.isatty()
        self.step = ""

    def begin(self, step: str) -> None:
        self.step = step
        if self.rewrites:
            self.note("")
        else:
            print(step, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        if self.rewrites:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{f'{self.step} {text}'[:width]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.rewrites:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@dataclass
class Round:
    """What one turn of one mode showed."""

    share: float  # of the time of the workers, in the collector, while the load went on
    collections: list[int]
    longest: float
    rss: int
    pss: int
    latencies: list[float] = field(repr=False)
    failures: int


# ---- one server ----


def children(pid: int) -> list[int]:
    try:
        return [int(w) for w in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def memory(pid: int) -> tuple[int, int]:
    """Resident and proportional size in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rss, pss = (int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("Rss", "Pss"))  # type: ignore[index]
    return rss * 1024, pss * 1024


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A signal that would end us waits: what is begun here must be known before."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
        for number in came:
            os.kill(os.getpid(), number)


@contextlib.contextmanager
def server(
    python: str, states: set[str], place: Path, **settings: str
) -> Iterator[tuple[int, list[int]]]:
    """gunicorn with the demo's application: its port, and its workers' pids once all are in one of
    these states."""
    env = venvs.clean_environment()
    env.update(
        LD_PRELOAD=str(LIBRARY),
        GCPRELOAD_DIR=str(place),
        PYTHONDONTWRITEBYTECODE="1",
        **settings,
    )
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    command = [python, "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", str(WORKERS), "demo_app:app"]
    process: Kept | None = None
    workers: list[int] = []

    def said() -> str:
        return os.pread(log.fileno(), 1 << 16, 0).decode(errors="replace")

    def serving() -> list[int]:
        assert process
        if process.poll() is not None:
            raise Failed(f"gunicorn ended with {process.returncode}:\n{said()}")
        workers[:] = children(process.pid)
        # "observing" may also be said of one that still loads: what fired tells that it serves.
        found = measured("ps", place, workers)
        return [p["pid"] for p in found if p["state"] in states and p["fired"]]

    try:
        with undisturbed():
            apps = ROOT / "tests" / "apps"
            process = Kept(command, env, cwd=apps, stdout=log, stderr=log, removed=place)
        wait_for(lambda: len(serving()) == WORKERS, lambda: f"gunicorn does not serve:\n{said()}")
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said())
        if not found:
            raise Failed(f"gunicorn does not say where it listens:\n{said()}")
        yield int(found[1]), list(workers)
    finally:
        if process:
            process.end()
        log.close()


def wait_for(look: Callable[[], bool], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not look():
        if time.monotonic() > deadline:
            raise Failed(complaint())
        time.sleep(0.1)


# ---- what was measured ----


def measured(what: str, place: Path, workers: list[int]) -> list[Json]:
    """What `gcpreload ps` or `report` has of the workers."""
    done = subprocess.run(
        [COMMAND, what, "--json", "--dir", place], capture_output=True, check=False
    )
    if done.returncode != 0:
        raise Failed(f"gcpreload {what} failed: {done.stderr.decode().strip()}")
    answer = json.loads(done.stdout)
    processes = answer["processes"] if isinstance(answer, dict) else answer
    return [process for process in processes if process["pid"] in workers]


@dataclass
class Served:
    """The collections of all workers since they serve."""

    collections: list[int]
    seconds: float
    longest: float


def served(place: Path, workers: list[int]) -> Served:
    """Without start-up, and without what the library did once, before the first request."""
    total = Served([0, 0, 0], 0.0, 0.0)
    for process in measured("report", place, workers):
        for period in process["periods"]:
            if period["period"] == "startup":
                continue
            for part in period["generations"]:
                total.collections[part["generation"]] += part["collections"]
                total.seconds += part["seconds"]
                total.longest = max(total.longest, part["max_seconds"])
    return total


def one_round(
    python: str, mode: str, place: Path, options: argparse.Namespace, progress: Progress
) -> Round:
    progress.note("starting, and loading the catalogue")
    with server(python, {STATES[mode]}, place, GCPRELOAD_MODE=MODES[mode]) as (port, workers):
        loop = load.OpenLoop(port, options.rate)
        before, begun = served(place, workers), time.monotonic()
        result = loop.run(
            options.seconds, lambda left: progress.note(f"{left:.0f} s of load left")
        )
        after, ended = served(place, workers), time.monotonic()
        sizes = [memory(pid) for pid in workers]
    if not result.latencies:
        raise Failed("not one request was answered")
    return Round(
        share=(after.seconds - before.seconds) / (ended - begun) / WORKERS,
        collections=[b - a for a, b in zip(before.collections, after.collections)],
        longest=after.longest,
        rss=sum(rss for rss, _ in sizes),
        pss=sum(pss for _, pss in sizes),
        latencies=result.latencies,
        failures=result.failures,
    )


# ---- the table ----


def short(number: float) -> str:
    """Three digits or so."""
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:.0f}"


def spread(rounds: list[Round], value: Callable[[Round], float]) -> tuple[str, str]:
    """The median over the rounds, and below it the lowest and highest."""
    values = [value(one) for one in rounds]
    return short(statistics.median(values)), f"{short(min(values))}-{short(max(values))}"


def pooled(rounds: list[Round], percent: float) -> tuple[str, str]:
    """Of all rounds together where that says something: 30 samples beyond it at least."""
    every = [latency for one in rounds for latency in one.latencies]
    _, between = spread(rounds, lambda r: 1e3 * load.percentile(r.latencies, percent))
    if percent < 100 and len(every) * (100 - percent) / 100 < 30:
        return "(too few)", between
    return short(1e3 * load.percentile(every, percent)), between


def collections(rounds: list[Round]) -> tuple[str, str]:
    columns = zip(*(one.collections for one in rounds))
    return "/".join(f"{statistics.median(column):.0f}" for column in columns), ""


def row(name: str, rounds: list[Round]) -> list[tuple[str, str]]:
    mb = 1 << 20
    return [
        (name, ""),
        spread(rounds, lambda r: 100 * r.share),
        collections(rounds),
        spread(rounds, lambda r: 1e3 * r.longest),
        spread(rounds, lambda r: r.rss / mb),
        spread(rounds, lambda r: r.pss / mb),
        *(pooled(rounds, percent) for percent in (50, 95, 99, 100)),
    ]


HEADS = [
    ("", ""),
    ("GC share", "of time"),
    ("collections", "gen 0/1/2"),
    ("longest", "GC pause"),
    ("RSS", "MB"),
    ("PSS", "MB"),
    ("latency", "p50"),
    ("", "p95"),
    ("", "p99"),
    ("", "longest"),
]


def print_table(results: dict[str, list[Round]]) -> None:
    cells = [HEADS, *(row(name, rounds) for name, rounds in results.items())]
    widths = [max(len(text) for line in cells for text in line[i]) for i in range(len(HEADS))]
    for number, line in enumerate(cells):
        for half in (0, 1):
            print("  ".join(c[half].rjust(w) for c, w in zip(line, widths)).rstrip())
        if number < len(cells) - 1:
            print("  ".join("-" * w for w in widths) if number == 0 else "")


def explain(results: dict[str, list[Round]], options: argparse.Namespace, python: str) -> None:
    failures = sum(one.failures for rounds in results.values() for one in rounds)
    more = ""
    for name, what in PROGRAMS.items():
        if COMMAND.with_name(f"gcpreload-{name}").exists():
            more += f"\n    {COMMAND.relative_to(ROOT)} {name:10}  {what}"
    about = subprocess.run([python, "-V"], capture_output=True, text=True, check=False)
    print(f"""
gunicorn with {WORKERS} sync workers, {about.stdout.strip()}, {options.rate:g} requests a second, \
each {options.seconds:g} s, {options.rounds} rounds of each in turns;
{failures} requests failed. Shares in %, memory in MB, pauses and latencies in ms. First line: the
median of the rounds, for latencies all requests together; below: the lowest and highest round.
Latency counts from when a request was due.
Both rows are measured by the same library: in the row stock it only observes
(GCPRELOAD_MODE=observe). Memory is the sum of the workers. Left out in both: start-up, and the
one collection at readiness, before the first request.

Now with an application of your own:

    LD_PRELOAD={LIBRARY} gunicorn app:app
    {COMMAND.relative_to(ROOT)} ps          which processes are tuned, and why or why not
    {COMMAND.relative_to(ROOT)} report      what it gained{more}""")


# ---- all of it ----


def build(progress: Progress) -> None:
    progress.begin("building ...")
    make = subprocess.Popen(
        ["make", "-s", "-C", ROOT, "all"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, _ = make.communicate()
    finally:
        if make.poll() is None:
            make.terminate()
            make.wait()
    if make.returncode != 0:
        raise Failed(f"make failed:\n{output.decode()}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each mode (%(default)s)")
    parser.add_argument("--seconds", type=float, default=9, help="of load a round (%(default)s)")
    parser.add_argument("--rate", type=float, default=120, help="requests a second (%(default)s)")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0 or options.rate <= 0:
        parser.error("rounds, seconds and rate must be above 0")
    return options


def demonstrate(options: argparse.Namespace, progress: Progress) -> None:
    build(progress)
    python = venvs.venv("demo", venvs.system_interpreter())
    results: dict[str, list[Round]] = {mode: [] for mode in MODES}
    total = options.rounds * len(MODES)
    for number in range(total):
        mode = list(MODES)[number % len(MODES)]
        progress.begin(f"[{number + 1}/{total}] {mode}:")
        name = f"gcpreload-demo-{os.getpid()}-"
        with tempfile.TemporaryDirectory(prefix=name, dir="/dev/shm") as place:
            results[mode].append(one_round(python, mode, Path(place), options, progress))
    progress.end()
    print_table(results)
    explain(results, options, python)


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """As an exception, so that every finally is run; a second one changes nothing."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> int:
    options = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    progress = Progress()
    try:
        demonstrate(options, progress)
    except (Failed, subprocess.CalledProcessError) as error:
        progress.end()
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except SystemExit:
        progress.end()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
