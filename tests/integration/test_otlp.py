"""gcpreload export --otlp: what a receiver that is not ours reads, against Python's own counts."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib.collector import (
    COLLECTIONS,
    DELTAS,
    DURATION,
    FAST,
    Answer,
    Collector,
    Request,
    attributes,
    by_generation,
    data,
    dead_ring,
    metrics,
    once,
    points,
    pushed,
    resources_of,
)
from lib.export import PROGRAM, exporting, own, served
from lib.puppet import Puppet
from lib.rings import command, ring_files
from lib.run import wait_for
from venvs import Interpreter

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libcurl or libmicrohttpd is missing")

SUMS = {
    COLLECTIONS: ("collections", "{collection}"),
    "cpython.gc.collected_objects": ("collected", "{object}"),
    "cpython.gc.uncollectable_objects": ("uncollectable", "{object}"),
}
DELTA, CUMULATIVE = 1, 2
SECOND = 10**9
HOSTILE = 'a"b\\c\nd\x1be\udcff{}\u2028'


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


# ---- the numbers ----


@pytest.mark.parametrize("style", [[], ["--per-process"]])
def test_counts_are_pythons_own(
    python: Interpreter, style: list[str], ring_dir: Path, collector: Collector
) -> None:
    with Puppet(python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
        shown = served(puppet)
        resources, expected = pushed(collector, ring_dir, *style).resources, own(puppet)
    (resource,) = resources
    for name, (field, unit) in SUMS.items():
        metric = metrics(resource)[name]
        assert metric.unit == unit
        assert metric.sum.is_monotonic
        assert metric.sum.aggregation_temporality == CUMULATIVE
        assert by_generation(resources, name) == expected[field]
    histogram = metrics(resource)[DURATION]
    assert histogram.unit == "s"
    assert histogram.exponential_histogram.aggregation_temporality == CUMULATIVE
    assert by_generation(resources, DURATION, "count") == expected["collections"]
    seconds = [0.0] * 3
    for part in shown.gc:
        seconds[part["generation"]] += part["seconds"]
    assert by_generation(resources, DURATION, "sum") == pytest.approx(seconds)
    (frozen,) = points(resources, "gcpreload.frozen_objects")
    assert frozen.as_int > 20000
    (processes,) = points(resources, "gcpreload.processes")
    assert processes.as_int == 1
    assert attributes(processes)["gcpreload.state"] == "ready"


def series_of(ring: Path) -> dict[tuple[int, int, int], tuple[int, ...]]:
    """The series of a ring that counted anything, by period, generation and cause, as
    ring/layout.h has them."""
    raw = ring.read_bytes()
    at, size, n_periods, n_generations, n_causes = struct.unpack_from("=5I", raw, 24)
    found = {}
    for number, key in enumerate(
        itertools.product(range(n_periods), range(n_generations), range(n_causes))
    ):
        series = struct.unpack_from("=200Q", raw, at + number * size)
        if series[0]:
            found[key] = series
    return found


def bucket_counts(point: Any) -> dict[int, int]:  # noqa: ANN401
    pairs = enumerate(point.positive.bucket_counts, point.positive.offset)
    return {index: count for index, count in pairs if count}


def same_histogram(point: Any, series: tuple[int, ...]) -> bool:  # noqa: ANN401
    """ring/layout.h: the first bucket is OTLP's number -160, at scale 3."""
    rings = {index: count for index, count in enumerate(series[8:], -160) if count}
    return (
        point.scale == 3
        and point.sum == pytest.approx(series[3] / 1e9)
        and point.max == pytest.approx(series[4] / 1e9)
        and (point.count, point.zero_count) == (series[0], series[5])
        and bucket_counts(point) == rings
    )


def test_buckets_are_the_rings(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        (ring,) = ring_files(ring_dir)
        expected = series_of(ring)
        found = list(points(pushed(collector, ring_dir).resources, DURATION))
        durations = [seconds for _, _, _, seconds in events(ring_dir)]
    assert len(found) == len(expected) > 3
    for (_, generation, _), series in expected.items():
        same = [point for point in found if same_histogram(point, series)]
        assert [attributes(point)["cpython.gc.generation"] for point in same] == [generation]
    # And the bounds are OTLP's: recomputed from each collection's own duration.
    together: Counter[int] = Counter()
    for point in found:
        together.update(bucket_counts(point))
        assert point.zero_threshold == 2.0**-20
    assert together == Counter(math.ceil(math.log2(seconds) * 8) - 1 for seconds in durations)


def events(ring_dir: Path) -> list[tuple[int, int, int, float]]:
    """Every slot of the one ring: generation, cause, period, seconds."""
    raw = ring_files(ring_dir)[0].read_bytes()
    at, size, number = struct.unpack_from("=3I", raw, 56)
    found = []
    for slot in range(number):
        seq, _, duration = struct.unpack_from("=3Q", raw, at + slot * size)
        generation, cause, period = struct.unpack_from("=3B", raw, at + slot * size + 44)
        if seq:
            found.append((generation, cause, period, duration / 1e9))
    return found


def test_what_is_beyond_the_buckets(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """Too short: the zero bucket. Too long: one bucket more, above 16 s."""
    ring = dead_ring(system_python, ring_dir)
    raw = bytearray(ring.read_bytes())
    at, size, _, _, causes = struct.unpack_from("=5I", raw, 24)
    last = at + (2 * 3 + 2) * causes * size + 6 * size  # tuned, generation 2, final
    buckets = [0] * 192
    buckets[191] = 1
    struct.pack_into("=200Q", raw, last, 6, 0, 0, 70 * SECOND, 40 * SECOND, 3, 2, 0, *buckets)
    ring.write_bytes(raw)
    (point,) = [
        point
        for point in points(pushed(collector, ring_dir).resources, DURATION)
        if attributes(point)["gcpreload.cause"] == "final"
        and attributes(point)["gcpreload.period"] == "tuned"
    ]
    assert (point.count, point.zero_count, point.sum, point.max) == (6, 3, 70, 40)
    assert bucket_counts(point) == {31: 1, 32: 2}
    assert 2 ** (32 / 8) == 16


def test_explicit_buckets(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """For backends without exponential ones: each power of two."""
    dead_ring(system_python, ring_dir)
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    (resource,) = pushed(collector, ring_dir).resources
    ask = {name: "explicit_bucket_histogram"}
    (explicit,) = pushed(collector, ring_dir, **ask).resources
    assert metrics(explicit)[DURATION].histogram.aggregation_temporality == CUMULATIVE
    both = list(zip(points([resource], DURATION), points([explicit], DURATION)))
    assert len(both) > 3
    for fine, coarse in both:
        assert attributes(fine) == attributes(coarse)
        assert (fine.count, fine.sum, fine.max) == (coarse.count, coarse.sum, coarse.max)
        assert list(coarse.explicit_bounds) == [2.0**power for power in range(-20, 5)]
        octaves: Counter[int] = Counter()
        for index, count in bucket_counts(fine).items():
            octaves[index // 8 + 21] += count
        octaves[0] = fine.zero_count
        assert list(coarse.bucket_counts) == [octaves[octave] for octave in range(26)]


# ---- temporality ----


def test_cumulative_has_one_start(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    before = time.time_ns()
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        with exporting(ring_dir, f"--otlp={collector.url}", **FAST):
            collector.wait(3)
            puppet.do("gc.collect()")
            expected = own(puppet)["collections"]
            collector.wait(1, lambda one: by_generation(one.resources, COLLECTIONS) == expected)
        found = [list(points(one.resources, COLLECTIONS)) for one in collector.taken]
    starts = {point.start_time_unix_nano for each in found for point in each}
    assert len(starts) == 1
    assert before < starts.pop() < time.time_ns()
    times = [{point.time_unix_nano for point in each} for each in found]
    assert all(len(each) == 1 for each in times)
    assert times == sorted(times, key=min)
    assert times[0] != times[-1]


def test_a_ring_that_cannot_be_read_any_more_stays_counted(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    ring = dead_ring(system_python, ring_dir)
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        with exporting(ring_dir, "--otlp", collector.url, **FAST):
            before = by_generation(collector.wait(1)[0].resources, COLLECTIONS)
            os.truncate(ring, 100)
            puppet.do("gc.collect()")
            expected = [*before[:2], before[2] + 1]
            later = collector.wait(
                1, lambda one: by_generation(one.resources, COLLECTIONS) == expected
            )[0]
    starts = {
        next(points(one.resources, COLLECTIONS)).start_time_unix_nano
        for one in (collector.requests[0], later)
    }
    assert len(starts) == 1


def total_of(requests: list[Request], name: str, member: str = "as_int") -> list[Any]:
    found = [by_generation(one.resources, name, member) for one in requests]
    return [sum(each) for each in zip(*found)]


def is_final(point: Any) -> bool:  # noqa: ANN401
    """The interpreter's last collection, when it ended: not in what it could say of itself."""
    return attributes(point)["gcpreload.cause"] == "final"


def check_contiguous(requests: list[Request]) -> None:
    """Of each resource: an interval begins where the one before ended, or later where nothing was
    to tell between."""
    ends: dict[str, int] = {}
    for request in requests:
        for resource in request.resources:
            who = json.dumps(attributes(resource.resource), sort_keys=True)
            spans = {
                (point.start_time_unix_nano, point.time_unix_nano)
                for name in (*SUMS, DURATION)
                for point in points([resource], name)
            }
            assert len(spans) <= 1
            for start, end in spans:
                assert ends.get(who, 0) <= start < end
                ends[who] = end


def living(request: Request) -> int:
    return sum(point.as_int for point in points(request.resources, "gcpreload.processes"))


@pytest.mark.parametrize("style", [[], ["--per-process"]])
@pytest.mark.parametrize("outage", ["none", "down", "503", "400"])
def test_deltas_add_up(
    system_python: Interpreter,
    style: list[str],
    outage: str,
    ring_dir: Path,
    collector: Collector,
) -> None:
    """Also where the collector was away, whatever it said meanwhile; and a process that ended
    meanwhile, whose file is gone, is not forgotten."""
    words = ["--otlp", collector.url, *style]
    with (
        exporting(ring_dir, *words, **FAST, **DELTAS) as exporter,
        Puppet(system_python, ring_dir) as short,
        Puppet(system_python, ring_dir) as puppet,
    ):
        assert exporter.url  # it has looked for the first time
        served(puppet)
        served(short)
        collector.wait(1, lambda one: living(one) == 2)
        if outage == "down":
            collector.down()
        elif outage != "none":
            collector.answer = lambda: Answer(int(outage))
        wait_for("a complaint", lambda: outage == "none" or exporter.said("OTLP: http"))
        puppet.do("gc.collect()", "gc.collect(0)")
        short.do("gc.collect(1)")
        counts = [own(puppet), own(short)]
        short.end()
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert len(ring_files(ring_dir)) == 1
        if outage == "down":
            collector.up()
        collector.answer = Answer
        collector.wait(1, lambda one: living(one) == 1 and one.status == 200)
        collector.wait_more()
    taken = collector.taken
    for name, (field, _) in SUMS.items():
        final = [
            point for one in taken for point in points(one.resources, name) if is_final(point)
        ]
        found = total_of(taken, name)
        found[2] -= sum(point.as_int for point in final)
        assert found == [sum(each) for each in zip(*(one[field] for one in counts))]
    assert total_of(taken, DURATION, "count") == total_of(taken, COLLECTIONS)
    check_contiguous(taken)
    kinds = {
        data(metrics(resource)[name]).aggregation_temporality
        for one in taken
        for resource in one.resources
        for name in (*SUMS, DURATION)
        if name in metrics(resource)
    }
    assert kinds == {DELTA}


def test_deltas_begin_with_the_exporter(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """What was before, another exporter may have pushed."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        with exporting(ring_dir, "--otlp", collector.url, **FAST, **DELTAS):
            first = collector.wait(1)[0]
            puppet.do("gc.collect(1)")
            collector.wait(1, lambda one: bool(list(points(one.resources, COLLECTIONS))))
    assert not list(points(first.resources, COLLECTIONS))
    assert total_of(collector.requests, COLLECTIONS)[:2] == [0, 1]


def test_lowmemory(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    """Counters that are read from elsewhere stay cumulative."""
    preference = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "LowMemory"}
    with (
        exporting(ring_dir, "--otlp", collector.url, **FAST, **preference) as exporter,
        Puppet(system_python, ring_dir) as puppet,
    ):
        assert exporter.url  # it has looked for the first time
        served(puppet)
        expected = own(puppet)["collections"]
        collector.wait(1, lambda one: by_generation(one.resources, COLLECTIONS) == expected)
        collector.wait_more()
        done = collector.taken
    assert total_of(done, DURATION, "count") == expected
    assert by_generation(done[-1].resources, COLLECTIONS) == expected
    (resource,) = next(one for one in done if list(points(one.resources, DURATION))).resources
    assert metrics(resource)[COLLECTIONS].sum.aggregation_temporality == CUMULATIVE
    assert metrics(resource)[DURATION].exponential_histogram.aggregation_temporality == DELTA


def test_once_is_cumulative(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        done = once(ring_dir, collector.url, **DELTAS)
        assert done.returncode == 0
        assert b"its counts are cumulative" in done.stderr
        found = by_generation(collector.requests[0].resources, COLLECTIONS)
        assert found == own(puppet)["collections"]


# ---- resources ----


def test_a_resource_for_each_service(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    told = "service.version=1.2,deployment.environment.name=prod"
    shop = {"GCPRELOAD_SERVICE": "shop", "OTEL_RESOURCE_ATTRIBUTES": told}
    with (
        Puppet(system_python, ring_dir, **shop) as one,
        Puppet(system_python, ring_dir, **shop) as two,
        Puppet(system_python, ring_dir) as nameless,
    ):
        for puppet in (one, two, nameless):
            served(puppet)
        made = nameless.shown().service["name"]
        base = "team=%C3%A4 b,service.version=9,host.name=box"
        request = pushed(collector, ring_dir, OTEL_RESOURCE_ATTRIBUTES=base)
        expected = [own(puppet)["collections"] for puppet in (one, two)]
        named = resources_of(pushed(collector, ring_dir, OTEL_SERVICE_NAME="mine"))
    found = resources_of(request)
    assert set(found) == set(named) == {"shop", made}
    assert named[made]["host.name"] == named[made]["service.instance.id"] == os.uname().nodename
    assert found["shop"]["service.version"] == "1.2"
    assert found["shop"]["deployment.environment.name"] == "prod"
    assert found[made]["service.version"] == "9"
    for resource in found.values():
        assert (resource["team"], resource["host.name"]) == ("ä b", "box")
        assert not [key for key in resource if key.startswith("process.")]
    (shop_metrics,) = (
        resource
        for resource in request.resources
        if attributes(resource.resource)["service.name"] == "shop"
    )
    assert by_generation([shop_metrics], COLLECTIONS) == [sum(each) for each in zip(*expected)]
    (processes,) = points([shop_metrics], "gcpreload.processes")
    assert processes.as_int == 2


def test_versions_side_by_side(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """While a service is replaced its resource stays, and then it is the new one."""

    def versions(requests: list[Request]) -> list[str]:
        return [
            attributes(resource.resource)["service.version"]
            for one in requests
            for resource in one.resources
        ]

    old, new = ({"OTEL_RESOURCE_ATTRIBUTES": f"service.version={number}"} for number in "12")
    with (
        exporting(ring_dir, "--otlp", collector.url, **FAST),
        Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop", **new) as puppet,
    ):
        with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop", **old) as other:
            served(other)
            collector.wait(1, lambda one: living(one) == 1)
            served(puppet)
            collector.wait(2, lambda one: living(one) == 2)
            assert set(versions(collector.requests)) == {"1"}
        collector.wait(1, lambda one: versions([one]) == ["2"])


def test_a_resource_for_each_process(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with Puppet(system_python, ring_dir) as one, Puppet(system_python, ring_dir) as two:
        counts = {}
        for puppet in (one, two):
            served(puppet)
            counts[puppet.pid] = own(puppet)["collections"]
        request = pushed(collector, ring_dir, "--per-process")
        asked = pushed(collector, ring_dir, "--per-process", "--otlp-command")
    found = {}
    for resource in request.resources:
        told = attributes(resource.resource)
        found[told["process.pid"]] = by_generation([resource], COLLECTIONS)
        assert told["process.runtime.name"] == "cpython"
        assert told["process.runtime.version"] == ".".join(map(str, system_python.version))
        assert told["host.name"] == os.uname().nodename
        assert "process.command_line" not in told
    assert found == counts
    assert len({attributes(r.resource)["service.instance.id"] for r in request.resources}) == 2
    assert "puppet.py" not in request.body.decode()
    for resource in asked.resources:
        assert "puppet.py" in attributes(resource.resource)["process.command_line"]


def test_a_process_that_ended_is_told_once_more(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with (
        exporting(ring_dir, "--per-process", "--otlp", collector.url, **FAST),
        Puppet(system_python, ring_dir) as stays,
        Puppet(system_python, ring_dir) as ends,
    ):
        served(stays)
        served(ends)
        collector.wait(1, lambda one: living(one) == 2)
        ends.do("gc.collect(1)")
        expected = own(ends)["collections"]
        ends.end()
        assert len(ring_files(ring_dir)) == 2
        seen = len(collector.requests)
        wait_for(
            "one without it",
            lambda: any(len(one.resources) == 1 for one in collector.requests[seen:]),
        )
    its = [
        by_generation([resource], COLLECTIONS)
        for one in collector.requests
        for resource in one.resources
        if attributes(resource.resource)["process.pid"] == ends.pid
    ]
    assert its[-1][:2] == expected[:2]
    assert its[-1][2] >= expected[2]


def test_hostile_names(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    name = os.fsencode(HOSTILE)
    told = {"OTEL_RESOURCE_ATTRIBUTES": "who=%ff%22%0a", "OTEL_SERVICE_NAME": HOSTILE}
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=HOSTILE) as puppet:
        served(puppet)
        found = resources_of(pushed(collector, ring_dir, **told))
    expected = name.decode(errors="replace")
    assert found[expected]["who"] == '\ufffd"\n'
