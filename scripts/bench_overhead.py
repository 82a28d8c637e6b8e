#!/usr/bin/env python3
"""What the library costs, as ratios and differences measured side by side, against its budgets.

Started by scripts/bench overhead. Everything is measured in turns: rounds that hold each variant
once, and a row that measures the same thing twice and shows how far to trust the others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench_common as common
import venvs
from bench_common import Budget, Built, Failed, Spread, Table, Worker, quiet, say, spread
from kept import Kept
from venvs import Interpreter

Result = tuple[Table, list[Budget]]
WORKER = common.SOURCES / "worker.py"


def three(found: list[Interpreter]) -> list[Interpreter]:
    """The oldest, the system's own and the newest."""
    chosen = {str(p): p for p in (found[0], venvs.system_interpreter(), found[-1])}
    return list(chosen.values())


def signed(value: Spread) -> str:
    return value.text("%+.1f")


# ---- 1. start-up ----


@dataclass(frozen=True)
class Start:
    """One program, started many times with each library: CPU microseconds, by round."""

    name: str
    used: dict[str, list[float]]

    def ratio(self, one: str, to: str) -> Spread:
        """Of the medians of consecutive parts of the run."""
        number = min(30, len(self.used[one]) // 8)
        parts = zip(common.blocks(self.used[one], number), common.blocks(self.used[to], number))
        return spread([a / b for a, b in parts])


PRELOADS = ("nothing", "an empty library", "an empty library, again", "libgcpreload")
NOTHING, EMPTY, AGAIN, OURS = PRELOADS


def start(built: Built, spawn: Path, name: str, command: list[str], rounds: int) -> Start:
    preloads = ["-", built.empty, built.empty, built.library]
    say(f"{name}: {rounds} rounds")
    with common.memory_dir() as place:
        done = subprocess.run(
            [spawn, str(rounds), *preloads, "--", *command],
            env=common.environment(GCPRELOAD_DIR=str(place)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        left = [path for path in place.rglob("*") if path.is_file()]
    if done.returncode != 0:
        raise Failed(f"spawn failed: {done.stderr.strip()}")
    if left:
        raise Failed(f"{name} left files: {left}")
    columns = zip(*(map(float, line.split()) for line in done.stdout.splitlines()))
    return Start(name, dict(zip(PRELOADS, map(list, columns))))


def startup(built: Built, scale: float) -> Result:
    spawn = built.compile("spawn.c", "spawn")
    starts = [start(built, spawn, "/bin/true", ["/bin/true"], int(1800 * scale))]
    for python in three(venvs.supported_interpreters()):
        command = [python.path, "-c", "pass"]
        starts.append(start(built, spawn, f"{python} -c pass", command, int(200 * scale)))
    rows, budgets, figures = [], [], []
    for one in starts:
        for preload in PRELOADS:
            to_nothing, to_empty = one.ratio(preload, NOTHING), one.ratio(preload, EMPTY)
            rows.append(
                [
                    one.name if preload == NOTHING else "",
                    preload,
                    f"{statistics.median(one.used[preload]):.0f}",
                    to_nothing.text("%.3f"),
                    to_empty.text("%.3f"),
                ]
            )
            figures.append(
                {
                    "program": one.name,
                    "preload": preload,
                    "microseconds": statistics.median(one.used[preload]),
                    "to_nothing": to_nothing.json(),
                    "to_empty": to_empty.json(),
                }
            )
        limit = 1.05 if one is starts[0] else 1.01
        noise = one.ratio(AGAIN, EMPTY)
        ours = one.ratio(OURS, EMPTY)
        budgets.append(
            Budget(
                f"{one.name}, CPU, to the same under {EMPTY}",
                ours.median,
                limit,
                "x",
                f"{ours.sure('%.3f')}; A/A {noise.median:.3f}",
            )
        )
    table = Table(
        "1. CPU time (user and system) of a whole program, by what is in LD_PRELOAD",
        ["program", "LD_PRELOAD", "us", "to nothing", "to an empty library"],
        rows,
        figures,
        "Median of the rounds (in brackets: the middle half). Ratios are of medians of\n"
        "consecutive parts of the run. No program left a file.",
    )
    return table, budgets


# ---- 2. a collection ----


@dataclass
class Collections:
    """gc.collect(0) of one interpreter: ns by process, callback and round."""

    python: Interpreter
    workers: dict[str, Worker]
    ns: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def round(self) -> None:
        for process, worker in self.workers.items():
            callbacks = ["none", "empty", "empty-again", "recipe"]
            callbacks += ["ours"] if process == "ours" else []
            *answers, clock = worker.ask(" ".join(callbacks))
            for callback, ns in zip([*callbacks, "clock"], [*answers, clock]):
                self.ns.setdefault((process, callback), []).append(ns)

    def more(self, callback: str, than: str = "empty", process: str = "ours") -> Spread:
        """Within one process, round by round."""
        pairs = zip(self.ns[process, callback], self.ns[process, than])
        return self.quiet([a - b for a, b in pairs])

    def quiet(self, values: list[float]) -> Spread:
        return spread(quiet(values, self.ns["ours", "recipe"]), one_process=True)

    def preloaded(self) -> Spread:
        """No callback: a process under the library, against one without it."""
        pairs = zip(self.ns["ours", "none"], self.ns["stock", "none"])
        return spread([a - b for a, b in pairs], one_process=True)


@contextlib.contextmanager
def collecting(built: Built) -> Iterator[list[Collections]]:
    """All of them at once: the library makes its file when a process is two seconds old."""
    with contextlib.ExitStack() as stack:
        found = []
        for python in venvs.supported_interpreters():
            module = built.module(python)
            if module is None:
                say(f"{python} has no headers (Debian: python3-dev), left out")
                continue
            workers = {}
            for process, preload in (("stock", None), ("ours", built.library)):
                place = stack.enter_context(common.memory_dir())
                env = common.environment(
                    preload, GCPRELOAD_MODE="observe", GCPRELOAD_DIR=str(place)
                )
                command = [python.path, WORKER, "collections", module, place]
                workers[process] = stack.enter_context(Worker(command, env))
            found.append(Collections(python, workers))
        for one in found:
            for worker in one.workers.values():
                worker.hear()
        yield found


def collections(built: Built, scale: float) -> Result:
    say("collections: starting each interpreter with and without the library")
    rounds = int(400 * scale)
    with collecting(built) as found:
        if not found:
            raise Failed("no interpreter has its headers: install python3-dev")
        for one in found:
            say(f"collections: {one.python}, {rounds} rounds")
            for _ in range(rounds):
                one.round()
    rows, figures = [], []
    for one in found:
        more = {name: one.more(name) for name in ("empty-again", "ours", "recipe")}
        none = one.quiet(one.ns["ours", "none"])
        empty = one.more("empty", "none")
        clock = one.quiet(one.ns["ours", "clock"])
        rows.append(
            [str(one.python), f"{none.median:.0f}", f"{empty.median:+.0f}"]
            + [signed(value) for value in more.values()]
            + [f"{2 * clock.median:.0f}", f"{one.preloaded().median:+.1f}"]
        )
        figures.append(
            {
                "python": str(one.python),
                "none_ns": none.json(),
                "empty_over_none_ns": empty.json(),
                "clock_ns": clock.json(),
                "over_empty_ns": {name: value.json() for name, value in more.items()},
                "preloaded_over_stock_ns": one.preloaded().json(),
            }
        )
    worst = max(found, key=lambda one: one.more("ours").median)
    ours = worst.more("ours")
    budget = Budget(
        f"observing a collection, over an empty C callback (worst: {worst.python})",
        ours.median,
        100,
        " ns",
        f"{ours.sure('%.1f')}; A/A {worst.more('empty-again').median:+.1f}",
    )
    table = Table(
        "2. One gc.collect(0) that finds nothing, ns, by what is in gc.callbacks",
        [
            "CPython",
            "no callback",
            "empty C: more",
            "empty C, again: over empty C",
            "libgcpreload: over empty C",
            "Python recipe: over empty C",
            "two clock reads",
            "process under us: more",
        ],
        rows,
        figures,
        "Within one process, round by round, in the quietest quarter of the rounds. The ring's\n"
        "file is there. Clock reads: what two calls of clock_gettime cost in the same rounds.\n"
        "Last column: no callback, a process under us over one without (it marks gc.collect()).",
    )
    return table, [budget]


# ---- 3. an interposed call ----

CALLS = ("accept4 EAGAIN", "accept4 EBADF", "epoll_wait", "poll", "select")


@dataclass
class Context:
    """A process in some state, and what a call costs there, ns by round."""

    name: str
    budgeted: bool
    worker: Worker
    calls: tuple[str, ...]
    libc: dict[str, list[float]] = field(default_factory=dict)
    more: dict[str, list[float]] = field(default_factory=dict)

    def round(self) -> None:
        for call in self.calls:
            libc, more = self.worker.ask(str(CALLS.index(call)))
            self.libc.setdefault(call, []).append(libc)
            self.more.setdefault(call, []).append(more)

    def over(self, call: str) -> Spread:
        """What the program's call costs over libc's own."""
        return spread(quiet(self.more[call], self.libc[call]), one_process=True)


# The waits are those of a loop that the library knows by its name (libev): no other is a place.
DELAYED = {"GCPRELOAD_TRIGGER": "delay:1000000"}
# Name; Python; the library; has a listener; waits for it; has a budget; settings.
CONTEXTS: tuple[tuple[str, bool, bool, int, int, bool, dict[str, str]], ...] = (
    ("not Python, without us", False, False, 1, 1, False, {}),
    ("not Python, without us, again", False, False, 1, 1, False, {}),
    ("not Python, no listener", False, True, 0, 0, True, {}),
    ("not Python, serves (its first minute)", False, True, 1, 1, False, {}),
    ("Python, without us", True, False, 1, 1, False, {}),
    ("Python, no listener", True, True, 0, 0, True, {}),
    ("Python, listens, waits for others", True, True, 1, 0, False, {}),
    ("Python, serves, GCPRELOAD_TRIGGER=delay", True, True, 1, 1, False, DELAYED),
    ("Python, after readiness", True, True, 1, 1, True, {}),
)


def contexts(built: Built, stack: contextlib.ExitStack) -> list[Context]:
    python = venvs.system_interpreter().path
    programs: dict[bool, list[str | Path]] = {
        False: [built.compile("calls.c", "calls", "-DPROGRAM")],
        True: [python, WORKER, "calls", built.shared("calls.c", "libev-calls.so")],
    }
    found = []
    for name, is_python, ours, listens, serves, budgeted, settings in CONTEXTS:
        place = stack.enter_context(common.memory_dir())
        env = common.environment(
            built.library if ours else None,
            GCPRELOAD_DIR=str(place),
            GCPRELOAD_YOUNG_MS="0",  # so that the threshold tells who is tuned
            **settings,
        )
        command = [*programs[is_python], str(listens), str(serves)]
        worker = stack.enter_context(Worker(command, env))
        tuned = worker.hear().startswith("ready 50000 ")
        if tuned != (is_python and budgeted and bool(serves)):
            raise Failed(f"{name}: {'tuned' if tuned else 'not tuned'}")
        # A first accept on a listening socket makes a process ready.
        found.append(Context(name, budgeted, worker, CALLS if serves else CALLS[2:]))
    return found


def calls(built: Built, scale: float) -> Result:
    rounds = int(120 * scale)
    with contextlib.ExitStack() as stack:
        found = contexts(built, stack)
        say(f"calls: {len(found)} processes, {rounds} rounds")
        for _ in range(rounds):
            for one in found:
                one.round()
    rows, figures = [], []
    for one in found:
        rows.append(
            [one.name] + [signed(one.over(call)) if call in one.calls else "-" for call in CALLS]
        )
        figures.append(
            {
                "process": one.name,
                "more_ns": {call: one.over(call).json() for call in one.calls},
                "libc_ns": {
                    call: spread(one.libc[call], one_process=True).json() for call in one.calls
                },
            }
        )
    libc = [statistics.median(found[0].libc[call]) for call in CALLS]
    rows.insert(0, ["(libc's own call takes)", *(f"{ns:.0f}" for ns in libc)])
    budgeted = [(one, call) for one in found if one.budgeted for call in one.calls[-4:]]
    one, call = max(budgeted, key=lambda pair: pair[0].over(pair[1]).median)
    noise = found[1].over(call).median
    budget = Budget(
        f"an interposed call after readiness or without a listener (worst: {call}, {one.name})",
        one.over(call).median,
        15,
        " ns",
        f"{one.over(call).sure('%.1f')}; A/A {noise:+.1f}",
    )
    table = Table(
        "3. A call that the library interposes, ns over libc's own function in the same process",
        ["process", *CALLS],
        rows,
        figures,
        f"Python: {venvs.system_interpreter()}. epoll_wait, poll and select have a time-out of 0\n"
        "and find nothing; accept4's memory allocations hide differences of 50 ns, but not where\n"
        "it fails at once, and the budget looks there. The quietest quarter of the rounds.\n"
        "Without us: what calling through the PLT costs.",
    )
    return table, [budget]


# ---- 4. memory of forked workers ----

WORKERS = 4
MODES: dict[str, str | None] = {
    "without us": None,
    "without us, again": None,
    "GCPRELOAD_MODE=observe": "observe",
    "libgcpreload": "freeze",
}


def fetch(url: str, answers: list[str]) -> None:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as answer:
        answers.append(answer.read().decode())


def workers_memory(port: int) -> list[float]:
    """MB that became private to each worker in a full collection."""
    found: dict[str, float] = {}
    deadline = time.monotonic() + 60
    while len(found) < WORKERS:
        if time.monotonic() > deadline:
            raise Failed(f"only {len(found)} of {WORKERS} workers answered")
        answers: list[str] = []
        target = (f"http://127.0.0.1:{port}/collect", answers)
        threads = [threading.Thread(target=fetch, args=target) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            pid, kilobytes = answer.split()
            found[pid] = int(kilobytes) / 1024
    return sorted(found.values())


def port_of(process: Kept, log: int) -> int:
    deadline = time.monotonic() + 60
    while True:
        said = os.pread(log, 1 << 16, 0).decode(errors="replace")
        address = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        if address:
            return int(address[1])
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"gunicorn does not serve:\n{said}")
        time.sleep(0.05)


def forked(built: Built, python: str, mode: str | None) -> list[float]:
    preload = None if mode is None else built.library
    command = [python, "-m", "gunicorn", "--preload", "-b", "127.0.0.1:0", "-w", str(WORKERS)]
    path = os.pathsep.join((str(common.SOURCES), str(common.ROOT / "tests" / "apps")))
    with common.memory_dir() as place, tempfile.TemporaryFile() as log:
        process = Kept(
            [*command, "--timeout", "120", "forked_app:app"],
            common.environment(
                preload, PYTHONPATH=path, GCPRELOAD_MODE=mode or "", GCPRELOAD_DIR=str(place)
            ),
            stdout=log,
            stderr=log,
            removed=place,
        )
        try:
            return workers_memory(port_of(process, log.fileno()))
        finally:
            process.end(20)


def memory(built: Built, scale: float) -> Result:
    rows, budgets, figures = [], [], []
    found = [p for p in venvs.server_interpreters() if scale >= 1 or p.is_system]
    for python in found[:1] + found[1:][-1:]:
        say(f"memory: gunicorn on {python}, {len(MODES)} times")
        program = venvs.venv("demo", python)
        private = {name: forked(built, program, mode) for name, mode in MODES.items()}
        stock = statistics.median(private["without us"])
        for name, megabytes in private.items():
            median = statistics.median(megabytes)
            rows.append(
                [
                    str(python) if name == "without us" else "",
                    name,
                    f"{median:.1f} ({megabytes[0]:.1f} to {megabytes[-1]:.1f})",
                    f"{stock / median:.2f}",
                ]
            )
            figures.append({"python": str(python), "library": name, "private_mb": megabytes})
        again = stock / statistics.median(private["without us, again"])
        budgets.append(
            Budget(
                f"what a full collection makes a forked worker's own, less than stock, {python}",
                stock / statistics.median(private["libgcpreload"]),
                20,
                "x",
                f"A/A {again:.2f}",
                at_least=True,
            )
        )
    table = Table(
        "4. What a full collection of the interpreter's own makes private (Private_Dirty) to each "
        f"of {WORKERS} workers of gunicorn --preload",
        ["CPython", "library", "MB a worker", "times less than without us"],
        rows,
        figures,
        "Median of the workers (in brackets: lowest and highest). The application is the demo's,\n"
        "with about a million objects loaded before the fork.",
    )
    return table, budgets


# ---- all of it ----

SECTIONS = {"startup": startup, "collections": collections, "calls": calls, "memory": memory}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench overhead", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="figures instead of tables")
    parser.add_argument(
        "--only", metavar="SECTION", choices=SECTIONS, action="append", help=", ".join(SECTIONS)
    )
    parser.add_argument("--library", help="measure this file, and build nothing")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times as many rounds (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 0.2 <= options.scale <= 100:
        parser.error("--scale: from 0.2 to 100")
    return options


def show(results: list[Result], options: argparse.Namespace) -> None:
    budgets = [budget for _, some in results for budget in some]
    about = common.machine()
    if options.json:
        figures: dict[str, Any] = {"machine": about}
        names = options.only or list(SECTIONS)
        figures.update({name: table.figures for name, (table, _) in zip(names, results)})
        figures["budgets"] = [budget.json() for budget in budgets]
        print(json.dumps(figures, indent=1))
        return
    print("scripts/bench overhead: " + ", ".join(f"{k} {v}" for k, v in about.items()))
    for table, _ in results:
        table.print()
    heads = ["budget", "measured", "allowed", "", "how sure"]
    Table("Budgets", heads, [budget.row() for budget in budgets], None).print()
    missed = sum(not budget.met for budget in budgets)
    print(f"\n{len(budgets) - missed} of {len(budgets)} budgets met")


def main() -> int:
    options = parse()
    names = options.only = options.only or list(SECTIONS)
    began = time.monotonic()
    try:
        with common.built(options.library) as built:
            results = [SECTIONS[name](built, options.scale) for name in names]
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"{time.monotonic() - began:.0f} s")
    show(results, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
