"""The latency benchmark's numbers: percentiles that say something, how sure they are, a table."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_common import LEAST_ROUNDS, Table

BEYOND = 30  # samples, or a percentile is not shown
RESAMPLES = 200
PERCENTILES = (50.0, 95.0, 99.0, 99.9)
# As `gcpreload report` divides them: an idle collection during which other threads worked is in
# a request, too.
OUT_OF_REQUESTS = ("idle",)
CURVE = [50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99]


@dataclass
class Interval:
    """One mode under one load in one round."""

    seconds: float
    latencies: list[float] = field(repr=False)
    failures: int
    late: float  # of the generator behind its own plan
    cpu: float  # seconds
    rss: int
    highest: int
    throttled: float
    collections: list[dict[str, Any]] = field(repr=False)


def at(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent are not above; nan where too few are."""
    if len(ordered) * (100 - percent) / 100 < BEYOND:
        return float("nan")
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


class Sample:
    """All intervals of a mode under a load."""

    def __init__(self, intervals: list[Interval]) -> None:
        self.intervals = intervals
        self.latencies = sorted(value for one in intervals for value in one.latencies)
        self.seconds = sum(one.seconds for one in intervals)
        self.answered = len(self.latencies)

    def gc(self, out: bool) -> tuple[float, float]:
        """Share of the time in percent, and the longest in milliseconds."""
        every = [
            one["seconds"]
            for interval in self.intervals
            for one in interval.collections
            if (one["cause"] in OUT_OF_REQUESTS) == out
        ]
        return 100 * sum(every) / self.seconds, 1e3 * max(every, default=0.0)

    def json(self) -> dict[str, Any]:
        inside, outside = self.gc(False), self.gc(True)
        return {
            "seconds": self.seconds,
            "answered": self.answered,
            "failures": sum(one.failures for one in self.intervals),
            "throughput": self.answered / self.seconds,
            "latency_ms": {
                f"p{percent:g}": 1e3 * at(self.latencies, percent) for percent in PERCENTILES
            },
            "longest_ms": 1e3 * self.latencies[-1],
            "curve_ms": [[percent, 1e3 * at(self.latencies, percent)] for percent in CURVE],
            "generator_late_ms": 1e3 * max(one.late for one in self.intervals),
            "cpu_ms_per_request": 1e3 * sum(one.cpu for one in self.intervals) / self.answered,
            "rss_mb": max(one.rss for one in self.intervals) / 2**20,
            "highest_rss_mb": max(one.highest for one in self.intervals) / 2**20,
            "throttled_seconds": sum(one.throttled for one in self.intervals),
            "gc_in_requests": {"percent": inside[0], "longest_ms": inside[1]},
            "gc_out_of_requests": {"percent": outside[0], "longest_ms": outside[1]},
            "collections": sum(len(one.collections) for one in self.intervals),
        }


def _percentiles(intervals: Sequence[Interval]) -> list[float]:
    ordered = sorted(value for one in intervals for value in one.latencies)
    return [at(ordered, percent) for percent in PERCENTILES]


def ratios(sample: Sample, to: Sample) -> list[dict[str, float]]:
    """Of each percentile, to the other's in the same rounds: the ratio and, of enough rounds,
    between which two values 95 % of resamples find it.

    What is drawn anew are rounds: each is a process of its own, at a time of its own, and differs
    from the next by more than the requests in it do. A few of them say nothing about that.
    """
    found = [
        {"ratio": at(sample.latencies, percent) / at(to.latencies, percent)}
        for percent in PERCENTILES
    ]
    rounds = list(zip(sample.intervals, to.intervals))
    if len(rounds) < LEAST_ROUNDS:
        return found
    chance = random.Random(1)
    drawn: list[list[float]] = [[] for _ in PERCENTILES]
    for _ in range(RESAMPLES):
        mine, theirs = zip(*chance.choices(rounds, k=len(rounds)))
        for values, one, other in zip(drawn, _percentiles(mine), _percentiles(theirs)):
            values.append(one / other)
    for ratio, values in zip(found, drawn):
        if any(map(math.isnan, values)):
            continue  # some have too few samples beyond it
        values.sort()
        ratio["sure_from"] = values[int(RESAMPLES * 0.025)]
        ratio["sure_to"] = values[int(RESAMPLES * 0.975) - 1]
    return found


def _latency_heads(rounds: int) -> list[str]:
    number = "1 round" if rounds == 1 else f"{rounds} rounds"
    sure = "95 % sure" if rounds >= LEAST_ROUNDS else f"{number}, no interval"
    shown = ["mode", *(f"p{percent:g}" for percent in PERCENTILES), "longest"]
    return [*shown, f"p95 to the first ({sure})", "p99 to the first", "failed"]


COST = [
    *("mode", "requests/s", "CPU ms/request", "RSS MB", "highest", "GC in requests, longest"),
    *("out of requests, longest", "throttled"),
]


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(ratio: dict[str, float]) -> str:
    if not ratio or math.isnan(ratio["ratio"]):
        return "-"
    if "sure_from" not in ratio:
        return f"{ratio['ratio']:.2f}"
    return "{ratio:.2f} ({sure_from:.2f} to {sure_to:.2f})".format(**ratio)


def _gc(part: dict[str, float]) -> str:
    return f"{part['percent']:.3f} %, {_number(part['longest_ms'])} ms"


def _latency_row(name: str, figure: dict[str, Any]) -> list[str]:
    shown = [*figure["latency_ms"].values(), figure["longest_ms"]]
    compared = [figure["ratio_to_first"].get(percent, {}) for percent in ("p95", "p99")]
    return [name, *map(_number, shown), *map(_ratio, compared), str(figure["failures"])]


def _cost_row(name: str, figure: dict[str, Any]) -> list[str]:
    return [
        name,
        _number(figure["throughput"]),
        _number(figure["cpu_ms_per_request"]),
        f"{figure['rss_mb']:.0f}",
        f"{figure['highest_rss_mb']:.0f}",
        _gc(figure["gc_in_requests"]),
        _gc(figure["gc_out_of_requests"]),
        f"{100 * figure['throttled_seconds'] / figure['seconds']:.1f} %",
    ]


def figures(samples: dict[str, Sample]) -> dict[str, dict[str, Any]]:
    """Of each mode; the first is what the others are compared with."""
    found = {}
    first = next(iter(samples.values()))
    for name, sample in samples.items():
        compared = [] if sample is first else ratios(sample, first)
        found[name] = {
            **sample.json(),
            "ratio_to_first": {
                f"p{percent:g}": ratio for percent, ratio in zip(PERCENTILES, compared)
            },
        }
    return found


def print_tables(title: str, samples: dict[str, Sample]) -> dict[str, dict[str, Any]]:
    """Two tables of a load; the figures behind them."""
    found = figures(samples)
    rows = [_latency_row(name, figure) for name, figure in found.items()]
    heads = _latency_heads(min(len(sample.intervals) for sample in samples.values()))
    Table(f"{title}: latency in ms", heads, rows, found).print()
    rows = [_cost_row(name, figure) for name, figure in found.items()]
    Table(f"{title}: what it costs", COST, rows, found).print()
    return found


def without_nan(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    """JSON has no word for it: null."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
