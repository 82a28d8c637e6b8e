"""The marks of a process in mode concurrent, as each way of looking at it tells of them: against
what stands in its ring, read here byte by byte."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_top
from lib.collector import Collector, points, pushed
from lib.export import PROGRAM, exporting
from lib.marker import Marked, old_garbage, old_garbage_goes
from lib.paths import COMMAND, DEADLINE
from lib.rings import command, ring_files
from lib.run import environment, memory_dir
from test_counters import MARK_FIELDS, MARKS, TABLE, fields_of_marks, values_of
from test_trace import Trace, follows
from venvs import Interpreter

needs_exporter = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd is missing")

# ring/layout.h: struct gcpreload_mark, and enum gcpreload_mark_why and _how.
SLOTS, KEPT = 2048, 16
SLOT = struct.Struct("<12Q2I3Q")
WORDS = ("seq", "start_ns", "fork_ns", "mark_ns", "cpu_ns", "live", "garbage", "swept", "skipped")
WORDS += ("page_faults", "resident_before", "resident_after", "why", "how")
WHY = ("growth", "garbage", "files", "asked")
HOW = ("running", "sweeping", "done", "failed", "discarded")
PLAIN = ("why", "how", "live", "garbage", "swept", "skipped")
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

Mark = dict[str, Any]
Marks = dict[int, Mark]  # by number


class Watch:
    """gcpreload watch, until the block ends."""

    def __init__(self, ring_dir: Path, *words: str) -> None:
        self.command = [COMMAND, "watch", "--dir", ring_dir, *words]

    def __enter__(self) -> Watch:
        self.process = subprocess.Popen(
            self.command, env=environment(), stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.said, _ = self.process.communicate(timeout=DEADLINE)


@dataclass(frozen=True)
class Told:
    """What stands in the ring of a process that was stopped, and what was said meanwhile."""

    ring_dir: Path
    pid: int
    totals: dict[str, int]
    marks: Marks  # the last ones that are over
    watched: list[str]  # lines of JSON
    read: list[str]  # lines of text
    traced: list[dict[str, Any]]


def totals_of(ring: bytes) -> dict[str, int]:
    names = fields_of_marks()
    return dict(zip(names, struct.unpack_from(f"<{len(names)}Q", ring, MARKS)))


def marks_of(ring: bytes) -> Marks:
    found = {}
    for index in range(KEPT):
        mark = dict(zip(WORDS, SLOT.unpack_from(ring, SLOTS + index * SLOT.size)))
        mark.update(why=WHY[mark["why"]], how=HOW[mark["how"]])
        if mark["seq"] and mark["how"] not in ("running", "sweeping"):
            found[mark["seq"] - 1] = mark
    return dict(sorted(found.items()))


def exercise(puppet: Marked) -> None:
    """Garbage that marks find, and one whose result is of no use."""
    old_garbage(puppet)
    old_garbage_goes(puppet)
    puppet.hold()
    puppet.do("import tracemalloc", "tracemalloc.start()")
    puppet.until("a mark discarded", puppet.failed)
    puppet.latch.go_on()
    puppet.marks_go_on(1)


@pytest.fixture(scope="module")
def told(system_python: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    into = tmp_path_factory.mktemp("trace") / "trace.json"
    with memory_dir() as ring_dir, Marked(system_python, ring_dir) as puppet:
        puppet.becomes_ready()
        with (
            Watch(ring_dir, "--json") as in_json,
            Watch(ring_dir) as in_text,
            Trace(ring_dir, into) as trace,
        ):
            for one in (in_json, in_text, trace):
                follows(one, puppet.pid)
            exercise(puppet)
            os.kill(puppet.pid, signal.SIGSTOP)
        try:
            files = ring_files(ring_dir)
            (ring,) = [f.read_bytes() for f in files if f.name.startswith(f"{puppet.pid}.")]
            yield Told(
                ring_dir,
                puppet.pid,
                totals_of(ring),
                marks_of(ring),
                in_json.said.splitlines(),
                in_text.said.splitlines(),
                trace.events,
            )
        finally:
            os.kill(puppet.pid, signal.SIGCONT)


def is_near(text: str, ns: int) -> bool:
    """A time like "8.00 ms", of three digits."""
    if text == "0":
        return ns == 0
    number, unit = text.split()
    return float(number) * UNITS[unit] == pytest.approx(ns / 1e9, rel=6e-3)


def plain(mark: Mark) -> Mark:
    return {name: mark[name] for name in PLAIN}


def test_there_is_something_to_tell(told: Told) -> None:
    marks = told.marks.values()
    assert {mark["why"] for mark in marks} == {"growth"}
    assert {mark["how"] for mark in marks} == {"done", "discarded"}
    assert told.totals["swept"] >= 3000
    assert told.totals["discarded"] == 1
    assert told.totals["longest_ns"] > 0


def test_watch_json(told: Told) -> None:
    said = {line["mark"]: line for line in map(json.loads, told.watched) if "mark" in line}
    assert {line["pid"] for line in said.values()} == {told.pid}
    assert max(said) == max(told.marks)
    for number, mark in told.marks.items():
        line = said[number]
        assert plain(line) == plain(mark)
        for name in ("page_faults", "resident_before", "resident_after"):
            assert line[name] == mark[name]
        times = (line["fork_seconds"], line["seconds"], line["cpu_seconds"])
        assert times == pytest.approx([mark[f"{n}_ns"] / 1e9 for n in ("fork", "mark", "cpu")])


LINE = re.compile(
    r"(?P<pid>\d+)  mark  (?P<why>\w+) +(?P<how>\w+)  fork (?P<fork>.+?)  took (?P<took>.+?)"
    r"  live (?P<live>\d+)  garbage (?P<garbage>\d+)  swept (?P<swept>\d+)"
    r"  skipped (?P<skipped>\d+)$"
)


def test_watch(told: Told) -> None:
    said = [found for line in told.read if (found := LINE.search(line))]
    assert len(said) >= len(told.marks)
    for line, mark in zip(said[-len(told.marks) :], told.marks.values()):
        assert int(line["pid"]) == told.pid
        assert {name: line[name] for name in PLAIN} == {n: str(v) for n, v in plain(mark).items()}
        assert is_near(line["fork"], mark["fork_ns"])
        assert is_near(line["took"], mark["mark_ns"])


def test_trace(told: Told) -> None:
    """Each on a track of marks, and in it the copy, in which the process stood still."""
    (track,) = {
        event["tid"]
        for event in told.traced
        if event["ph"] == "M" and event["args"].get("name") == "marks"
    }
    slices = [e for e in told.traced if e["ph"] == "X" and e["tid"] == track]
    assert {event["pid"] for event in slices} == {told.pid}
    of_marks = {e["args"]["mark"]: e for e in slices if e["name"].startswith("mark: ")}
    forks = {event["ts"]: event["dur"] for event in slices if event["name"] == "fork"}
    for number, mark in told.marks.items():
        event = of_marks[number]
        assert event["name"] == f"mark: {mark['why']}"
        assert event["ts"] == pytest.approx(mark["start_ns"] / 1e3, abs=1)
        assert event["dur"] == pytest.approx(max(mark["mark_ns"], mark["fork_ns"]) / 1e3, abs=1)
        assert forks[event["ts"]] == pytest.approx(mark["fork_ns"] / 1e3, abs=1)
        assert plain(event["args"]) == plain(mark)


SUMMARY = re.compile(
    r"In requests, tuned: (?P<share>[\d.]+) ?% of the time in collections, longest step "
    r"(?P<step>[\d.]+ \w+)\.\s+"
    r"Marks: (?P<begun>\d+) \((?P<failed>\d+) failed, (?P<discarded>\d+) discarded\), running for "
    r"\S+ %? ?of the time\.\s+"
    r"Longest fork for a mark: (?P<fork_max_ns>[^;]+); processor time of marks: "
    r"(?P<cpu_ns>[\d.]+ \w+)\.\s+"
    r"Garbage found by marks: (?P<garbage>\d+) objects; (?P<swept>\d+) swept, (?P<skipped>\d+) no "
    r"longer valid, (?P<pending>\d+) pending\."
)


def is_in_requests(ring_dir: Path, share: float, step: str, totals: dict[str, int]) -> None:
    """The first line: of the collections that a request could have met."""
    (process,) = json.loads(command("report", "--json", "--dir", ring_dir).stdout)["processes"]
    (period,) = [part for part in process["periods"] if part["period"] == "tuned"]
    assert share == pytest.approx(period["in_request_seconds"] / period["seconds"] * 100, rel=0.05)
    assert is_near(step, max(totals["longest_ns"], round(period["in_request_max_seconds"] * 1e9)))


def check_summary(text: str, told: Told) -> None:
    totals = told.totals
    found = SUMMARY.search(text)
    assert found, text
    said = found.groupdict()
    is_in_requests(told.ring_dir, float(said.pop("share")), said.pop("step"), totals)
    for name, value in said.items():
        number = totals[name]
        assert is_near(value, number) if name.endswith("_ns") else int(value) == number


def test_report(told: Told) -> None:
    check_summary(command("report", "--dir", told.ring_dir).stdout.decode(), told)


@pytest.mark.skipif(not test_top.PROGRAM.exists(), reason="libncurses-dev is missing")
@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is missing")
def test_top_of_the_process(told: Told) -> None:
    with test_top.top(told.ring_dir, columns=110, rows=60) as shown:
        shown.keys("Enter")
        shown.wait_for("Garbage found by marks: ")
        check_summary("\n".join(line.strip() for line in shown.lines()), told)


def of_the_table(totals: dict[str, int]) -> dict[str, float]:
    """By a row's id, as it is told."""
    return {
        row.id: totals[row.field.removeprefix("marks.")] / (1e9 if row.unit == "s" else 1)
        for row in MARK_FIELDS
    }


GAUGES = {"live_objects": "live", "pending_garbage": "pending"}
LONGEST = {"mark_fork_max_seconds": "fork_max_ns", "longest_step_seconds": "longest_ns"}


@pytest.mark.parametrize("words", ["ps", "report"])
def test_as_json(words: str, told: Told) -> None:
    done = command(words, "--json", "--dir", told.ring_dir)
    document = json.loads(done.stdout)
    (process,) = document if words == "ps" else document["processes"]
    expected = of_the_table(told.totals)
    for row in MARK_FIELDS:
        outer, _, inner = row.json.partition(".")
        assert process[outer][inner] == pytest.approx(expected[row.id]), row.id
    for name, field in GAUGES.items():
        assert process[name] == told.totals[field]
    for name, field in LONGEST.items():
        assert process[name] == pytest.approx(told.totals[field] / 1e9)


@needs_exporter
def test_the_page(told: Told) -> None:
    with exporting(told.ring_dir) as exporter:
        url = f"{exporter.url}/data.json"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            page = json.load(answer)
    (service,) = page["services"]
    shown = {row.json.partition(".")[2]: row.id for row in MARK_FIELDS if "PAGE" in row.where}
    assert set(shown) == {"begun", "garbage", "swept"}
    for part in (service, page["total"]):
        assert part["marks"] == {name: told.totals[name] for name in shown}


@needs_exporter
def test_metrics(told: Told) -> None:
    text = command("export", "--once", "--dir", told.ring_dir).stdout.decode()
    expected = of_the_table(told.totals)
    for row in MARK_FIELDS:
        name, _, value = row.label.partition("=")
        label = f',{name}="{value}"' if name else ""
        (said,) = re.findall(
            rf'^{row.prometheus}_total\{{service="[^"]+"{label}\}} (\S+)$', text, re.M
        )
        assert float(said) == pytest.approx(expected[row.id]), row.id
    for row in TABLE:
        if row.json in GAUGES:
            (said,) = re.findall(rf'^{row.prometheus}\{{service="[^"]+"\}} (\S+)$', text, re.M)
            assert float(said) == told.totals[GAUGES[row.json]]


@needs_exporter
def test_otlp(told: Told) -> None:
    with Collector() as collector:
        resources = pushed(collector, told.ring_dir).resources
    said = values_of(resources)
    assert {name: said[name] for name in of_the_table(told.totals)} == pytest.approx(
        of_the_table(told.totals)
    )
    for row in TABLE:
        if row.json in GAUGES:
            (point,) = points(resources, row.otlp)
            assert point.as_int == told.totals[GAUGES[row.json]]
