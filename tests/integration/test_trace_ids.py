"""Which request a slow collection hit: the log has the ids that the request itself knows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib.collector import DURATION, Collector, attributes, points, pushed
from lib.export import PROGRAM, exporting
from lib.prometheus import fetch
from lib.prometheus import server as prometheus
from lib.rings import command
from lib.run import environment, run, wait_for
from lib.server import Server
from venvs import Interpreter, venv

IDS = re.compile(
    r"slow collection: generation 2.* explicit,.*, trace (\w{32}), span (\w{16}), at "
)
LIBRARIES = ("opentelemetry", "ddtrace")


@contextmanager
def traced(python: Interpreter, ring_dir: Path, by: str, **settings: str) -> Iterator[Server]:
    try:
        program = venv("tracing", python)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"scripts/requirements/tracing.txt cannot be installed: {error}")
    settings = {"GCPRELOAD_SLOW_MS": "1", **settings}
    env = environment(
        ring_dir,
        TRACED_BY=by,
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_TRACE_AGENT_URL="http://127.0.0.1:9",
        **settings,
    )
    command = [program, "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "1", "-t", "0"]
    with Server([*command, "--threads", "2", "traced:app"], env) as server:
        yield server


@pytest.mark.parametrize("by", LIBRARIES)
def test_the_log_has_the_requests_ids(
    one_of_two_pythons: Interpreter, ring_dir: Path, by: str
) -> None:
    with traced(one_of_two_pythons, ring_dir, by) as server:
        told = [tuple(server.get("/collect").split()) for _ in range(3)]
        found = wait_for("three lines", lambda: IDS.findall(server.output()) or None)
        assert len(set(told)) == 3
        assert IDS.findall(server.output()) == told, found


def test_events_have_them(system_python: Interpreter, ring_dir: Path) -> None:
    with traced(system_python, ring_dir, "opentelemetry") as server:
        told = [server.get("/collect") for _ in range(2)]
        server.get("/between")
        done = command("trace", "-o", "-", "--last", "--for", "0.1", "--dir", ring_dir)
        events = [e["args"] for e in json.loads(done.stdout) if e["name"] == "explicit"]
        assert [f"{e.get('trace_id')} {e.get('span_id')}" for e in events] == [*told, "None None"]


@pytest.mark.parametrize("by", LIBRARIES)
def test_outside_of_a_request_there_is_no_id(
    system_python: Interpreter, ring_dir: Path, by: str
) -> None:
    with traced(system_python, ring_dir, by) as server:
        assert server.get("/between") == "done"
        line = re.compile(r"slow collection: .* explicit, .*")
        assert " in between" in wait_for("a line", lambda: line.findall(server.output()))[0]
        assert not IDS.findall(server.output())


def exemplars(text: str) -> list[tuple[str, float, float]]:
    """Of OpenMetrics: the ids, what it took, and the upper bound of the bucket."""
    found = re.findall(
        r'_bucket\{.*le="(.*)"\} \d+ # \{trace_id="(\w+)",span_id="(\w+)"\} (\S+) (\S+)$',
        text,
        re.M,
    )
    assert all(abs(time.time() - float(when)) < 3600 for *_, when in found)
    return [(f"{trace} {span}", float(value), float(le)) for le, trace, span, value, _ in found]


@pytest.mark.skipif(not PROGRAM.exists(), reason="libcurl or libmicrohttpd is missing")
@pytest.mark.parametrize("style", [[], ["--per-process"]])
def test_exemplars(system_python: Interpreter, ring_dir: Path, style: list[str]) -> None:
    words = ["--dir", ring_dir, "--once", *style]
    with traced(system_python, ring_dir, "opentelemetry") as server:
        told = [server.get("/collect") for _ in range(3)]
        server.get("/between")
        text = command("export", "--openmetrics", *words).stdout.decode()
        found = exemplars(text)
        assert {ids for ids, _, _ in found} <= set(told)
        assert told[-1] in {ids for ids, _, _ in found}
        assert all(bound / 4 < value <= bound for _, value, bound in found)
        # Prometheus' older format has none.
        assert "trace_id" not in command("export", *words).stdout.decode()
        with Collector() as collector:
            point = next(
                point
                for point in points(pushed(collector, ring_dir, *style).resources, DURATION)
                if attributes(point)["gcpreload.cause"] == "explicit"
            )
        # What protobuf's JSON takes for base64 is hexadecimal in OTLP's.
        pushed_ids = [
            f"{b64encode(e.trace_id).decode()} {b64encode(e.span_id).decode()}"
            for e in point.exemplars
        ]
        assert sorted(pushed_ids) == sorted(told)
        assert max(e.as_double for e in point.exemplars) <= point.max


def test_a_trace_that_is_not_exported_is_no_exemplar(
    system_python: Interpreter, ring_dir: Path
) -> None:
    with traced(system_python, ring_dir, "opentelemetry", SAMPLED="never") as server:
        told = server.get("/collect")
        assert " ".join(wait_for("a line", lambda: IDS.findall(server.output()))[0]) == told
        done = command("export", "--openmetrics", "--dir", ring_dir, "--once")
        assert "trace_id" not in done.stdout.decode()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is missing")
def test_prometheus_keeps_exemplars(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    with traced(system_python, ring_dir, "opentelemetry") as app, exporting(ring_dir) as exporter:
        told = app.get("/collect")
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {
                    "job_name": "gcpreload",
                    "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}],
                }
            ],
        }
        query = "query=gcpreload_gc_duration_seconds_bucket&start=0&end=9999999999"
        with prometheus(tmp_path, config, "--enable-feature=exemplar-storage") as url:

            def kept() -> set[str]:
                found = fetch(f"{url}/api/v1/query_exemplars?{query}")
                labels = [e["labels"] for series in found for e in series["exemplars"]]
                return {f"{one['trace_id']} {one['span_id']}" for one in labels}

            assert wait_for("an exemplar", kept) == {told}


# The modules of OpenTelemetry as far as they are read, so that every interpreter can be asked.
FAKE = """
import asyncio, contextvars, gc, sys, types

heap = [[] for _ in range(300000)]
called = []


def module(name, **names):
    sys.modules[name] = made = types.ModuleType(name)
    vars(made).update(names)


class Runtime:
    pass


class Context(dict):
    def __getitem__(self, key):
        called.append("__getitem__")
    get = __contains__ = __getitem__


class Ids(tuple):
    def __getitem__(self, key):
        called.append("Ids")
    def __getattribute__(self, name):
        called.append("Ids." + name)


class Odd(int):
    def note(self, *_):
        called.append("Odd")
        return 1
    __rshift__ = __and__ = __index__ = __int__ = note


class Plain:
    def __getattr__(self, name):
        called.append(name)
    def __getattribute__(self, name):
        called.append(name)
        return object.__getattribute__(self, name)


class Slots:
    __slots__ = ("_context",)
    __getattribute__ = Plain.__getattribute__


class Property(Plain):
    @property
    def _context(self):
        called.append("property")
        return Ids((1, 2))


class Descriptor:
    def __get__(self, *_):
        called.append("descriptor")


class Described(Plain):
    _context = Descriptor()


variable = contextvars.ContextVar("context")
runtime = Runtime()
runtime._current_context = variable
module("opentelemetry.context", _RUNTIME_CONTEXT=runtime)
module("opentelemetry.trace.propagation", _SPAN_KEY="current-span-1")


def one(span, ids):
    if ids is not None:
        object.__setattr__(span, "_context", ids)
    variable.set(Context({"current-span-1": span}))
    called.clear()
    try:
        raise KeyError("kept")
    except KeyError as error:
        gc.collect()
        assert error.args == ("kept",)
    assert not called, called


async def task():
    one(Plain(), Ids((TRACE, 0xff, False, 1)))


async def tasks():
    await asyncio.gather(asyncio.ensure_future(asyncio.sleep(0)), task())


TRACE = 0x0123456789abcdef00000000000000ff
"""
CASES = {
    "one(Plain(), Ids((TRACE, 0xff, False, 1)))": True,
    "one(Slots(), Ids((TRACE, 0xff, False, Odd(1))))": True,
    "one(Slots(), (TRACE, 0xff))": True,
    "module('opentelemetry.trace.propagation', SPAN_KEY='current-span-1'); "
    "one(Plain(), Ids((TRACE, 0xff, False, 1)))": True,
    "asyncio.run(tasks())": True,
    "variable.set(None); gc.collect()": False,
    "one(Plain(), Ids((Odd(TRACE), 0xff, False, 1)))": False,
    "one(Plain(), Ids((0, 0, False, 0)))": False,
    "one(Plain(), Ids((TRACE,)))": False,
    "one(Plain(), Ids(('a', None)))": False,
    "one(Plain(), 'no tuple')": False,
    "one(Property(), None)": False,
    "one(Described(), None)": False,
    "one(Plain(), None)": False,
    "one(None, None)": False,
    "variable.set([]); gc.collect()": False,
    "runtime._current_context = 7; gc.collect()": False,
    "module('opentelemetry.context'); gc.collect()": False,
    "sys.modules['opentelemetry.context'] = 7; gc.collect()": False,
}


def test_no_code_of_the_program_runs(python: Interpreter) -> None:
    steps = [f"print({case!r}, file=sys.stderr, flush=True)\n{case}\n" for case in CASES]
    program = FAKE + "".join(steps)
    env = environment("/dev/shm", GCPRELOAD_RING="off", GCPRELOAD_SLOW_MS="1")
    done = run([python.path, "-c", program], env)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stderr.decode().splitlines()
    for case, expected in CASES.items():
        line = next(line for line in lines[lines.index(case) :] if "explicit" in line)
        ids = ", trace 0123456789abcdef00000000000000ff, span 00000000000000ff, at "
        assert (ids in line) == expected, case
        assert ("trace" in line) == expected, case
