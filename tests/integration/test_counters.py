"""ring/counters.def against what is shown: each counter is in every place that its row names, and
no other number is in any."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lib.collector import DELTAS, FAST, Collector, attributes, data, metrics, points, pushed
from lib.export import PROGRAM, exporting, served
from lib.paths import DEADLINE, ROOT
from lib.puppet import Puppet
from lib.rings import command, ring_files
from venvs import Interpreter

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libcurl or libmicrohttpd is missing")

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w.|\[\] ]+|[(),]|\s+')
COLUMNS = ["title", "unit", "json", "where", "prometheus", "otlp"]
FIRST = {
    "PROCESS": ["field", *COLUMNS, "label", "help"],
    "COMPUTED": [*COLUMNS, "help"],
    "SERIES": ["field", *COLUMNS, "help"],
    "HISTOGRAM": [*COLUMNS, "help"],
    "GAUGE": [*COLUMNS, "help"],
}
COUNTERS = ("PROCESS", "COMPUTED", "SERIES")

# Numbers that say who, when and which, and count nothing.
IDENTITY = {"pid", "ppid", "uid", "start_time", "pid_namespace", "generation"}
PAGE_ONLY = {"exporter", "time", "clock", "scale", "first", "n_services"}


@dataclass(frozen=True)
class Row:
    kind: str
    id: str
    columns: dict[str, str]

    def __getattr__(self, name: str) -> str:
        return self.columns[name]


def arguments(text: str) -> Iterator[str]:
    """Of a macro, from behind its parenthesis on."""
    value, at = "", 0
    while True:
        token = TOKEN.match(text, at)
        assert token, text[at : at + 40]
        at = token.end()
        if token[0] in (",", ")"):
            yield value
            value = ""
            if token[0] == ")":
                return
        elif token[0].startswith('"'):
            value += token[0][1:-1]
        else:
            value += token[0].strip()


def table() -> list[Row]:
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "ring/counters.def").read_text(), flags=re.S)
    text = re.sub(r"^#.*", "", text, flags=re.M)
    rows = []
    for begin in re.finditer(r"^([A-Z]+)\(", text, re.M):
        number, *rest = arguments(text[begin.end() :])
        rows.append(Row(begin[1], number, dict(zip(FIRST[begin[1]], rest, strict=True))))
    return rows


TABLE = table()


def numbers(value: Any, name: str = "") -> Iterator[str]:  # noqa: ANN401 - whatever JSON has
    """The keys of all numbers. refused_chances and marks have fixed keys, "a.b" in the table;
    states and guards have the names of states as keys."""
    if name in ("states", "guards"):
        yield name
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(
                part, f"{name}.{key}" if name in ("refused_chances", "marks") else key
            )
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name


def keys(document: Any) -> set[str]:  # noqa: ANN401
    return set(numbers(document)) - IDENTITY


def expected(where: str, *absent: str) -> set[str]:
    return {row.json for row in TABLE if where in row.where.split(" | ")} - set(absent)


def test_the_table_is_whole() -> None:
    assert len(TABLE) > 30
    assert len({row.id for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert row.title, row.id
        assert row.unit in ("s", "1") or re.fullmatch(r"\{[a-z]+\}", row.unit), row.id
        assert re.fullmatch(r"[A-Z0-9].*\.", row.help), row.id
        assert bool(row.json) == (row.where != "0"), row.id
        assert row.json or row.prometheus or row.otlp, row.id
        if row.kind in COUNTERS:
            assert bool(row.prometheus) == bool(row.otlp), f"{row.id} is on one side only"


def test_json(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as one:
        served(one)
        with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as two:
            served(two)
            listed = json.loads(command("ps", "--json", "--dir", ring_dir).stdout)
            report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
            with exporting(ring_dir) as exporter:
                url = f"{exporter.url}/data.json"
                with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                    page = json.load(answer)
    # null: nothing waits for an idle moment, and there are no connections.
    assert all("due_generation" in process for process in listed)
    assert keys(listed) == expected("PS", "due_generation")
    assert keys(report) == expected("REPORT", "due_generation", "connections")
    assert keys(page) - PAGE_ONLY == expected("PAGE", "connections")
    assert page["metrics"] == {
        row.json: {"title": row.title, "unit": row.unit, "help": row.help}
        for row in TABLE
        if "PAGE" in row.where
    }


def families(text: str) -> dict[str, tuple[str, str]]:
    """Type and help of each metric."""
    helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    assert set(helps) == set(types)
    return {name: (types[name], helps[name]) for name in types}


def samples(text: str) -> dict[str, set[str]]:
    """The labels reason and period of each name of process counters that has samples."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(\{.*\})? \S+$", text, re.M):
        given = re.findall(r'\b(reason|period)="([^"]*)"', labels)
        if "cause=" in labels:  # of collections
            given = []
        found.setdefault(name, set()).update("=".join(pair) for pair in given)
    return found


def prometheus_type(row: Row) -> str:
    return "counter" if row.kind in COUNTERS else row.kind.lower()


@pytest.mark.parametrize("style", [[], ["--per-process"], ["--openmetrics"], ["--compat-names"]])
def test_prometheus(system_python: Interpreter, style: list[str], ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        text = command("export", "--once", "--dir", ring_dir, *style).stdout.decode()
    shown = [row for row in TABLE if row.prometheus]
    compat = "--compat-names" in style
    suffix = "" if "--openmetrics" in style else "_total"
    found: dict[str, tuple[str, str]] = {}
    reasons: dict[str, set[str]] = {}
    for row in shown:
        name = row.prometheus
        if compat and row.kind in ("SERIES", "HISTOGRAM"):
            name = name.replace("gcpreload_gc_", "python_gc_")
        counter = row.kind in COUNTERS
        found[name + (suffix if counter else "")] = (prometheus_type(row), row.help)
        if row.kind == "HISTOGRAM":
            reasons |= {f"{name}_{part}": set() for part in ("bucket", "sum", "count")}
        else:
            given = {row.label} if row.kind == "PROCESS" and row.label else set()
            reasons.setdefault(name + ("_total" if counter else ""), set()).update(given)
    assert families(text) == found
    actual = samples(text)
    del actual["gcpreload_process_state"], reasons["gcpreload_process_state"]  # a text
    assert actual == reasons


def label_of(attributes: dict[str, Any]) -> str:
    """As the table has it."""
    names = [name for name in attributes if name in ("gcpreload.reason", "gcpreload.period")]
    return "".join(f"{name.removeprefix('gcpreload.')}={attributes[name]}" for name in names)


@pytest.mark.parametrize("style", [[], ["--per-process"]])
def test_otlp(system_python: Interpreter, style: list[str], ring_dir: Path) -> None:
    with Collector() as collector, Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        (resource,) = pushed(collector, ring_dir, *style).resources
    shown = {row.otlp: row for row in TABLE if row.otlp}
    found = metrics(resource)
    assert set(found) == set(shown)
    for name, row in shown.items():
        metric = found[name]
        assert (metric.unit, metric.description) == (row.unit, row.help)
        counter = row.kind in COUNTERS
        assert counter == (metric.WhichOneof("data") == "sum")
        assert not counter or metric.sum.is_monotonic
        labels = {r.label for r in TABLE if r.kind == "PROCESS" and r.otlp == name and r.label}
        if row.kind == "PROCESS":
            given = [attributes(point) for point in data(metric).data_points]
            assert len(given) == len(labels or {""})
            assert {label_of(one) for one in given} == (labels or {""})


def put(ring: Path, offset: int, *values: int) -> None:
    """Into a ring's header."""
    ring.chmod(0o600)
    with ring.open("r+b") as file:
        file.seek(offset)
        file.write(b"".join(value.to_bytes(8, "little") for value in values))


# ring/layout.h: struct gcpreload_idle, struct gcpreload_marks, log_dropped, and struct
# gcpreload_load from cpu_ns on.
IDLE, MARKS, LOG_DROPPED, LOAD = 1440, 1512, 288, 1680
VALUES = {
    "delayed_wakeups": 1,
    "delayed_time": 2 * 10**9,
    "refused_busy": 3,
    "refused_family": 4,
    "refused_budget": 5,
    "refused_throttled": 6,
    "guard_trips": 7,
}
DROPPED = 8
LOADS = {
    f"{what}_{period}": (90 + i) * (10**9 if what == "cpu" else 1)
    for what in ("cpu", "accepted")
    for i, period in enumerate(("startup", "baseline", "tuned"))
}
# Each of its fields; of the table, that is.
MARK_FIELDS = [row for row in TABLE if row.kind == "PROCESS" and row.field.startswith("marks.")]
NO_COUNTERS = ("fork_max_ns", "longest_ns", "live", "pending")


def fields_of_marks() -> list[str]:
    (body,) = re.findall(
        r"^struct gcpreload_marks \{\n(.*?)^\};", (ROOT / "ring/layout.h").read_text(), re.M | re.S
    )
    return re.findall(r"uint64_t (\w+);", body)


def marks_values() -> dict[str, int]:
    """A number for each field, in their order; whole seconds where it is a time."""
    return {
        name: (10 + i) * (10**9 if name.endswith("_ns") else 1)
        for i, name in enumerate(fields_of_marks())
    }


def test_each_field_of_marks_has_a_row() -> None:
    shown = {row.field.removeprefix("marks.") for row in MARK_FIELDS}
    assert shown == set(fields_of_marks()) - set(NO_COUNTERS)


def values_of(resources: list[Any]) -> dict[str, float]:
    """Of the counters of processes, by the table's id."""
    found = {}
    for row in TABLE:
        if row.kind != "PROCESS" or not row.otlp:
            continue
        for point in points(resources, row.otlp):
            if label_of(attributes(point)) == row.label:
                found[row.id] = point.as_double if row.unit == "s" else point.as_int
    return found


def said() -> dict[str, float]:
    marks = marks_values()
    return {
        **VALUES,
        "delayed_time": 2.0,
        "log_lines_dropped": DROPPED,
        **{name: float(n) / (10**9 if "cpu" in name else 1) for name, n in LOADS.items()},
        **{
            row.id: marks[row.field.removeprefix("marks.")] / (10**9 if row.unit == "s" else 1)
            for row in MARK_FIELDS
        },
    }


SAID = said()


def test_counters_of_ended_processes(system_python: Interpreter, ring_dir: Path) -> None:
    """In the ring, in the totals of a removed one, and in what only the exporter remembers."""

    def look(collector: Collector) -> dict[str, float]:
        text = command("export", "--once", "--dir", ring_dir).stdout.decode()
        found: dict[str, float] = {}
        for row in TABLE:
            if row.kind == "PROCESS" and row.prometheus:
                name, _, value = row.label.partition("=")
                label = f',{name}="{value}"' if name else ""
                line = rf'^{row.prometheus}_total\{{service="shop"{label}\}} (\S+)$'
                (value,) = re.findall(line, text, re.M)
                found[row.id] = float(value)
        assert found == values_of(pushed(collector, ring_dir).resources)
        return found

    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
        served(puppet)
    (ring,) = ring_files(ring_dir)
    put(ring, IDLE, *VALUES.values())
    put(ring, MARKS, *marks_values().values())
    put(ring, LOG_DROPPED, DROPPED)
    put(ring, LOAD, *LOADS.values())
    with Collector() as collector:
        assert look(collector) == SAID
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert not ring_files(ring_dir)
        assert look(collector) == SAID


def test_load_of_an_earlier_version(system_python: Interpreter, ring_dir: Path) -> None:
    """It did not count that, which is not 0."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
    (ring,) = ring_files(ring_dir)

    def shown() -> int:
        text = command("export", "--once", "--dir", ring_dir).stdout.decode()
        return len(re.findall(r"^gcpreload_(?:cpu_seconds|connections)_total\{", text, re.M))

    assert shown() == len(LOADS)
    put(ring, LOAD - 8, *[0] * 15)
    assert shown() == 0


def test_deltas_of_counters(system_python: Interpreter, ring_dir: Path) -> None:
    """What came since the last push, and nothing where nothing came."""
    with Collector() as collector:
        with Puppet(system_python, ring_dir) as puppet:
            served(puppet)
        (ring,) = ring_files(ring_dir)
        copy = ring.with_name("1.1.00000001")
        content = ring.read_bytes()
        words = ["--otlp", collector.url]
        with (
            exporting(ring_dir, *words, **FAST, **DELTAS),
            Puppet(system_python, ring_dir) as other,
        ):
            served(other)
            collector.wait(1)
            new = copy.with_name(".new")
            new.write_bytes(content)
            put(new, IDLE, *VALUES.values())
            put(new, MARKS, *marks_values().values())
            put(new, LOG_DROPPED, DROPPED)
            put(new, LOAD, *LOADS.values())
            new.rename(copy)
            collector.wait(1, lambda one: bool(values_of(one.resources)))
        told = [values_of(one.resources) for one in collector.requests]
    # The processor time of the living one grows.
    cpu = [name for name in LOADS if name.startswith("cpu_")]
    apart = [{name: one.pop(name) for name in cpu if name in one} for one in told]
    assert [one for one in told if one] == [{k: v for k, v in SAID.items() if k not in cpu}]
    for name in cpu:
        assert sum(one.get(name, 0) for one in apart) == pytest.approx(SAID[name], abs=5)
