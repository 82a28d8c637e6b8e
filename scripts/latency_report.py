"""The latency benchmark's numbers: what is exact first, then what is more than noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import bench_sure
from bench_common import Table
from bench_sure import LEAST_ROUNDS, WITHIN_NOISE, Ratio

BEYOND = 30  # requests in all rounds together, or a percentile is not shown
BEYOND_IN_A_ROUND = 5
PERCENTILES = (50.0, 95.0, 99.0, 99.9)
# As `gcpreload report` divides them: an idle collection during which other threads worked is in
# a request, too.
OUT_OF_REQUESTS = ("idle",)
CURVE = [50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99]
NOTHING = "-"

Figures = dict[str, dict[str, Any]]


def sorted_out(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[float]]:
    """Of what `gcpreload watch --json` told: each step of a collection that held the process up,
    and each fork. How long a fork's child works holds nobody up."""
    forks = [one["fork_seconds"] for one in events if "fork_seconds" in one]
    steps = [one for one in events if "fork_seconds" not in one and "seconds" in one]
    return steps, forks


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
    # Files of earlier versions have neither, and there was no mode that forks.
    forks: list[float] = field(default_factory=list)  # seconds that each held the process up
    together: int = 0  # the most that it and its descendants held, as sampled

    def __post_init__(self) -> None:
        self.latencies = sorted(self.latencies)
        self.together = max(self.together, self.highest)

    def at(self, percent: float) -> float:
        """The value that so many percent are not above; nan where too few are."""
        number = len(self.latencies)
        if number * (100 - percent) / 100 < BEYOND_IN_A_ROUND:
            return float("nan")
        return self.latencies[min(int(number * percent / 100), number - 1)]

    def cpu_each(self) -> float:
        return self.cpu / len(self.latencies)


@dataclass(frozen=True)
class Rounds:
    """One number of each round."""

    values: list[float]

    def json(self) -> dict[str, float]:
        values = self.values
        return {
            "median": statistics.median(values),
            "lowest": min(values),
            "highest": max(values),
        }


class Sample:
    """All intervals of a mode under a load."""

    def __init__(self, intervals: Sequence[Interval]) -> None:
        self.intervals = list(intervals)
        self.seconds = sum(one.seconds for one in intervals)
        self.answered = sum(len(one.latencies) for one in intervals)

    def latency(self, percent: float) -> Rounds | None:
        """In milliseconds; None where too few requests are beyond it."""
        values = [1e3 * one.at(percent) for one in self.intervals]
        few = self.answered * (100 - percent) / 100 < BEYOND
        return None if few or any(map(math.isnan, values)) else Rounds(values)

    def cpu(self) -> Rounds:
        """Milliseconds a request."""
        return Rounds([1e3 * one.cpu_each() for one in self.intervals])

    def measured(self) -> dict[str, Rounds | None]:
        """What is compared with the first mode."""
        latency = {f"p{percent:g}": self.latency(percent) for percent in PERCENTILES}
        return {"cpu": self.cpu(), **latency}

    def gc(self, out: bool) -> dict[str, float]:
        """Share of the time, the longest, and what 99.9 % of them are not above: of all of them,
        so that none is an estimate."""
        every = sorted(
            one["seconds"]
            for interval in self.intervals
            for one in interval.collections
            if (one["cause"] in OUT_OF_REQUESTS) == out
        )
        return {
            "percent": 100 * sum(every) / self.seconds,
            "longest_ms": 1e3 * every[-1] if every else 0.0,
            "p999_ms": 1e3 * every[math.ceil(0.999 * len(every)) - 1] if every else 0.0,
        }

    def forks(self) -> dict[str, float]:
        every = [one for interval in self.intervals for one in interval.forks]
        return {"count": len(every), "longest_ms": 1e3 * max(every, default=0.0)}

    def json(self) -> dict[str, Any]:
        measured = self.measured()
        return {
            "rounds": len(self.intervals),
            "seconds": self.seconds,
            "answered": self.answered,
            "failures": sum(one.failures for one in self.intervals),
            "throughput": self.answered / self.seconds,
            "gc_in_requests": self.gc(False),
            "gc_out_of_requests": self.gc(True),
            "forks": self.forks(),
            "collections": sum(len(one.collections) for one in self.intervals),
            "cpu_ms_per_request": 1e3 * sum(one.cpu for one in self.intervals) / self.answered,
            "rss_mb": max(one.rss for one in self.intervals) / 2**20,
            "highest_rss_mb": max(one.highest for one in self.intervals) / 2**20,
            "highest_together_mb": max(one.together for one in self.intervals) / 2**20,
            "throttled_seconds": sum(one.throttled for one in self.intervals),
            "generator_late_ms": 1e3 * max(one.late for one in self.intervals),
            "of_rounds": {name: one.json() if one else None for name, one in measured.items()},
            "curve_ms": [
                {"percent": percent, **rounds.json()}
                for percent in CURVE
                if (rounds := self.latency(percent))
            ],
        }


def ratios(sample: Sample, to: Sample) -> dict[str, Ratio | None]:
    """Of CPU time a request and of each percentile, in the same rounds."""
    return {
        name: bench_sure.ratio(mine.values, theirs.values) if mine and theirs else None
        for (name, mine), theirs in zip(sample.measured().items(), to.measured().values())
    }


def figures(samples: dict[str, Sample]) -> Figures:
    """Of each mode. The first is what the others are compared with; the second is the first once
    more, and what these two differ by is the machine's."""
    first, again = list(samples.values())[:2]
    band = ratios(again, first)
    found = {}
    for name, sample in samples.items():
        compared = {} if sample is first else ratios(sample, first)
        found[name] = {
            **sample.json(),
            "ratio_to_first": {
                what: one
                and {**vars(one), "beyond_noise": sample is not again and one.beyond(band[what])}
                for what, one in compared.items()
            },
        }
    return found


# ---- tables ----


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _band(again: dict[str, Any], what: str) -> str:
    ratio = again["ratio_to_first"][what]
    return "{sure_from:.2f} to {sure_to:.2f}".format(**ratio) if ratio else NOTHING


def _result(figure: dict[str, Any], what: str) -> str:
    """The ratio, or that it is none."""
    ratio = figure["ratio_to_first"][what]
    if ratio is None:
        return NOTHING
    if not ratio["beyond_noise"]:
        return WITHIN_NOISE
    return "{ratio:.2f} ({sure_from:.2f} to {sure_to:.2f})".format(**ratio)


Cell = Callable[[dict[str, Any]], str]


def _milliseconds(figure: dict[str, float], what: str) -> str:
    return _number(figure[what]) if figure[what] else "0"


def _gc(part: str) -> list[tuple[str, Cell]]:
    share = "GC in requests" if part == "gc_in_requests" else "GC out of them"
    return [
        (share, lambda f: f"{f[part]['percent']:.3f} %" if f[part]["longest_ms"] else "0"),
        ("longest ms", lambda f: _milliseconds(f[part], "longest_ms")),
    ]


# What matters first.
COUNTED: list[tuple[str, Cell]] = [
    *_gc("gc_in_requests"),
    ("99.9 % ms", lambda f: _milliseconds(f["gc_in_requests"], "p999_ms")),
    ("forks", lambda f: str(f["forks"]["count"])),
    ("longest fork ms", lambda f: _milliseconds(f["forks"], "longest_ms")),
    ("CPU ms/request", lambda f: _number(f["cpu_ms_per_request"])),
    ("to {first}", lambda f: _result(f, "cpu")),
    ("highest RSS MB", lambda f: f"{f['highest_rss_mb']:.0f}"),
    ("with children", lambda f: f"{f['highest_together_mb']:.0f}"),
    ("RSS MB", lambda f: f"{f['rss_mb']:.0f}"),
    *_gc("gc_out_of_requests"),
    ("requests/s", lambda f: _number(f["throughput"])),
    ("failed", lambda f: str(f["failures"])),
    ("throttled", lambda f: f"{100 * f['throttled_seconds'] / f['seconds']:.1f} %"),
]
# Left out where every row would have 0.
ONLY_WHERE_ANY = {
    "forks": lambda figure: figure["forks"]["count"],
    "longest fork ms": lambda figure: figure["forks"]["count"],
    "throttled": lambda figure: figure["throttled_seconds"],
}


def _shown(head: str, found: Figures) -> bool:
    return head not in ONLY_WHERE_ANY or any(map(ONLY_WHERE_ANY[head], found.values()))


def _counted(title: str, found: Figures) -> Table:
    first, again = list(found)[:2]
    columns = [(head, cell) for head, cell in COUNTED if _shown(head, found)]
    band = [_band(found[again], "cpu") if head == "to {first}" else "" for head, _ in columns]
    rows = [["A/A band", *band]]
    for name, figure in found.items():
        as_it_is = name in (first, again)
        cells = [
            "" if as_it_is and head == "to {first}" else cell(figure) for head, cell in columns
        ]
        rows.append([name, *cells])
    heads = [head.replace("{first}", first) for head, _ in columns]
    return Table(f"{title}: what was counted", ["mode", *heads], rows, found)


def _seen(of_rounds: dict[str, float] | None) -> str:
    if of_rounds is None:
        return NOTHING
    median, lowest, highest = map(_number, of_rounds.values())
    return median if lowest == highest else f"{median} ({lowest} to {highest})"


def _latency_cell(figure: dict[str, Any], what: str) -> str:
    result = _result(figure, what)
    if result in (NOTHING, WITHIN_NOISE):
        return result
    return f"{_number(figure['of_rounds'][what]['median'])}; {result}"


def _latency(title: str, found: Figures) -> Table:
    first, again = list(found)[:2]
    rounds = min(figure["rounds"] for figure in found.values())
    names = [f"p{percent:g}" for percent in PERCENTILES]
    names = [name for name in names if any(one["of_rounds"][name] for one in found.values())]
    rows = [["A/A band", *(_band(found[again], name) for name in names)]]
    for mode, figure in found.items():
        as_seen = mode in (first, again) or rounds < LEAST_ROUNDS
        rows.append(
            [
                mode,
                *(
                    _seen(figure["of_rounds"][name]) if as_seen else _latency_cell(figure, name)
                    for name in names
                ),
            ]
        )
    number = "1 round" if rounds == 1 else f"{rounds} rounds"
    few = f" ({number}: what was seen, no result)" if rounds < LEAST_ROUNDS else ""
    return Table(f"{title}: latency in ms{few}", ["mode", *names], rows, found)


def tables(title: str, found: Figures) -> list[Table]:
    latency = _latency(title, found)
    return [_counted(title, found), *([latency] if len(latency.heads) > 1 else [])]


LEGEND = f"""\
GC in requests and out of them: share of the time, and the longest collection, of every collection
that happened; 99.9 % of those in requests took no longer than said. CPU time is that of all
processes of the server, and of the children that they waited for. Memory is that of the process
that serves: the highest since it began, the same together with what its children held besides
(looked at every 0.1 s), and at the end. Forks and throttling have columns where there were any.
The first mode is measured twice: the A/A band is the 95 % interval of its ratio to itself, and is
the machine's own noise. A ratio whose distance from 1 is not beyond the band, or whose own 95 %
interval holds 1, is no result, nor is its percentile: "{WITHIN_NOISE}". Intervals are of rounds,
in pairs (signed ranks), from {LEAST_ROUNDS} rounds on; of fewer there is none, and no ratio.
Latency counts from when a request was due. Of the first mode: the median of the rounds, with the
lowest and the highest round; of the others the median, and the ratio with its interval. A
percentile is shown where {BEYOND} requests are beyond it in all rounds, {BEYOND_IN_A_ROUND} in
each."""
