#!/usr/bin/env python3
"""How long a scrape of gcpreload export takes, and what memory it holds, by number of rings.

Started by scripts/bench export. The rings are copies of one that a real process has left; living
ones are locked, as their processes would. "changed": each ring counts on between two scrapes.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import re
import resource
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import bench_common as common
import venvs
from bench_common import Budget, Failed, Table, say
from kept import Kept

HEAD_AT = 72  # ring/layout.h
PID_AT = 160
SERIES_AT, SERIES_SIZE, SERIES = 4096, 1600, 72
TUNED_YOUNG = 48  # the series: tuned, generation 0, automatic
SLOTS_AT = SERIES_AT + SERIES * SERIES_SIZE
COUNT_AT = SERIES_AT + TUNED_YOUNG * SERIES_SIZE
LIVE = """
import gc, select, socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
select.select([listener], [], [], 0)
for _ in range(300000):
    cycle = []
    cycle.append(cycle)
gc.collect()
"""


@dataclass(frozen=True)
class Case:
    """So many rings of each kind."""

    living: int
    stale: int
    changed: bool


@dataclass(frozen=True)
class Measured:
    """Of one case."""

    case: Case
    first_ms: float
    median_ms: float
    slowest_ms: float
    answer_bytes: int
    descriptors: int
    rss_kb: dict[int, int]  # by number of scrapes


def real_ring() -> bytes:
    """What a Python process has left that was ready and collected in each generation."""
    python = venvs.system_interpreter()
    with common.memory_dir() as place:
        library = common.ROOT / "build" / "libgcpreload.so"
        env = common.environment(library, GCPRELOAD_DIR=str(place), GCPRELOAD_SERVICE="bench")
        subprocess.run([python.path, "-c", LIVE], env=env, check=True)
        found = list(place.glob("gcpreload-*/[0-9]*"))
        if len(found) != 1:
            raise Failed(f"{python} left {len(found)} rings, one was expected")
        return found[0].read_bytes()


class Rings:
    """Files in a directory; the living ones are open and locked."""

    def __init__(self, place: Path, case: Case, content: bytes) -> None:
        directory = place / f"gcpreload-{os.geteuid()}"
        directory.mkdir(mode=0o700)
        self.living: list[int] = []
        self.numbers = [struct.unpack_from("=Q", content, at)[0] for at in (HEAD_AT, COUNT_AT)]
        if not all(self.numbers):
            raise Failed("the ring that was to be copied counts no collection")
        for number in range(case.living + case.stale):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            path = directory / f"{number + 1}.1.{number:08x}"
            descriptor = os.open(path, flags, 0o600)
            os.write(descriptor, content[:SLOTS_AT])
            os.ftruncate(descriptor, len(content))  # no slot is read: no memory for them
            os.pwrite(descriptor, struct.pack("=i", number + 1), PID_AT)
            if number < case.living:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self.living.append(descriptor)
            else:
                os.close(descriptor)

    def change(self) -> None:
        """As after one more collection."""
        self.numbers = [number + 1 for number in self.numbers]
        for descriptor in self.living:
            for at, number in zip((HEAD_AT, COUNT_AT), self.numbers):
                os.pwrite(descriptor, struct.pack("=Q", number), at)

    def close(self) -> None:
        for descriptor in self.living:
            os.close(descriptor)


@contextlib.contextmanager
def exporter(program: Path, place: Path) -> Iterator[tuple[int, int]]:
    """Its pid and port."""
    process = Kept(
        [program, "--listen", "127.0.0.1:0", "--dir", place],
        common.environment(),
        stderr=subprocess.PIPE,
        removed=place,
    )
    assert process.stderr
    try:
        said = process.stderr.readline().decode()
        port = re.search(r"/metrics on .*:(\d+)$", said)
        if not port:
            raise Failed(f"gcpreload-export said: {said}")
        yield process.pid, int(port[1])
    finally:
        process.end(20)
        process.stderr.close()


def rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.M)
    if not found:
        raise Failed(f"process {pid} has ended")
    return int(found[1])


def scrape(connection: http.client.HTTPConnection) -> tuple[float, int]:
    began = time.perf_counter()
    connection.request("GET", "/metrics")
    body = connection.getresponse().read()
    return 1000 * (time.perf_counter() - began), len(body)


def measure(program: Path, case: Case, content: bytes, scrapes: int) -> Measured:
    say(f"{case.living} living and {case.stale} dead rings, {scrapes} scrapes")
    marks = [n for n in (1, 100, 1000) if n <= scrapes]
    took, rss, size = [], {}, 0
    with common.memory_dir() as place:
        rings = Rings(place, case, content)
        with exporter(program, place) as (pid, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            for number in range(1, scrapes + 1):
                if case.changed:
                    rings.change()
                milliseconds, size = scrape(connection)
                took.append(milliseconds)
                if number in marks:
                    rss[number] = rss_kb(pid)
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            connection.close()
        # Another exporter: its first look is at its start, so ask one that prints.
        began = time.perf_counter()
        command = [program, "--once", "--dir", place]
        subprocess.run(command, env=common.environment(), stdout=subprocess.DEVNULL, check=True)
        first = 1000 * (time.perf_counter() - began)
        rings.close()
    return Measured(case, first, statistics.median(took), max(took), size, descriptors, rss)


def table_of(results: list[Measured]) -> Table:
    rows = []
    for one in results:
        rows.append(
            [
                str(one.case.living),
                "all" if one.case.changed else "none",
                str(one.case.stale),
                f"{one.first_ms:.1f}",
                f"{one.median_ms:.1f}",
                f"{one.slowest_ms:.1f}",
                str(one.descriptors),
                *(
                    f"{one.rss_kb[n] / 1024:.1f}" if n in one.rss_kb else ""
                    for n in (1, 100, 1000)
                ),
            ]
        )
    heads = ["living", "changed", "dead", "--once ms", "scrape ms", "slowest", "descriptors"]
    return Table(
        "Scrapes of gcpreload export",
        [*heads, "RSS MB after 1", "after 100", "after 1000"],
        rows,
        [asdict(one) for one in results],
        "--once: a process that reads everything for the first time. scrape: over HTTP, median.",
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench export", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="figures instead of a table")
    parser.add_argument("--program", type=Path, help="measure this gcpreload-export")
    parser.add_argument(
        "--scrapes", type=int, default=100, help="for each row (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.scrapes < 1:
        parser.error("--scrapes: at least 1")
    return options


def cases() -> list[tuple[Case, int]]:
    """And how many times as many scrapes."""
    several = [Case(n, 0, changed) for n in (10, 100, 1000) for changed in (False, True)]
    return [(case, 10 if case.living == 1000 else 1) for case in several] + [
        (Case(1000, 10000, changed=True), 1),
        (Case(0, 10000, changed=False), 1),
    ]


def main() -> int:
    options = parse()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with common.built(None) as built:
            program = options.program or Path(
                built.directory.parent.parent / "gcpreload-export"
            ).resolve(strict=True)
            content = real_ring()
            results = [
                measure(program, case, content, options.scrapes * times) for case, times in cases()
            ]
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    thousand = next(one for one in results if one.case == Case(1000, 0, changed=True))
    budget = Budget("a scrape of 1000 living rings, all changed", thousand.median_ms, 200, " ms")
    if options.json:
        figures = {"machine": common.machine(), "export": table_of(results).figures}
        print(json.dumps({**figures, "budgets": [budget.json()]}, indent=1))
        return 0
    print("scripts/bench export: " + ", ".join(f"{k} {v}" for k, v in common.machine().items()))
    table_of(results).print()
    Table("Budgets", ["budget", "measured", "allowed", "", ""], [budget.row()], None).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
