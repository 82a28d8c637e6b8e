"""How sure the benchmarks say they are: as sure as they are of numbers whose truth is known."""

from __future__ import annotations

import itertools
import math
import random
from typing import Callable

import bench_common
import bench_sure
import latency_report
import pytest
from latency_report import Interval, Sample

TABLES = 200
ROUNDS = bench_sure.LEAST_ROUNDS
SECONDS = 10  # of a round
Method = Callable[[Sample, Sample, str], tuple[float, float]]


def measured(chance: random.Random, effects: list[float]) -> Sample:
    """Rounds that differ by much more than the requests in them do: by the machine's speed at the
    time, and by whether something got in the way of this process's tail."""
    rounds = []
    for effect in effects:
        speed = effect * math.exp(chance.gauss(0, 0.5))
        tail = 20 if chance.random() < 0.3 else 1
        latencies = [
            speed * chance.uniform(1, 2) * (tail if chance.random() < 0.1 else 1)
            for _ in range(100)
        ]
        cpu = speed * chance.uniform(1, 1.2)
        rounds.append(
            Interval(
                seconds=SECONDS, latencies=latencies, failures=0, late=0, cpu=cpu, rss=1,
                highest=1, throttled=0, collections=[],
            )
        )  # fmt: skip
    return Sample(rounds)


def same_thing(seed: int, samples: int = 2, factor: float = 1.0) -> list[Sample]:
    """Of one program, in the same rounds; the last is slower by a factor."""
    chance = random.Random(seed)
    common = [math.exp(chance.gauss(0, 0.7)) for _ in range(ROUNDS)]
    factors = [1.0] * (samples - 1) + [factor]
    return [measured(chance, [factor * one for one in common]) for factor in factors]


def by_round(sample: Sample, to: Sample, what: str) -> tuple[float, float]:
    ratio = latency_report.ratios(sample, to)[what]
    assert ratio is not None
    return ratio.sure_from, ratio.sure_to


def by_second(sample: Sample, to: Sample, what: str) -> tuple[float, float]:
    """As the first published tables had it: draw each round's seconds anew, compare all."""
    chance, percent, ratios = random.Random(1), float(what[1:]), []

    def drawn(one: Sample) -> float:
        latencies = []
        for interval in one.intervals:
            seconds = [interval.latencies[start::SECONDS] for start in range(SECONDS)]
            latencies += itertools.chain(*chance.choices(seconds, k=SECONDS))
        return sorted(latencies)[int(len(latencies) * percent / 100)]

    for _ in range(80):
        ratios.append(drawn(sample) / drawn(to))
    ratios.sort()
    return ratios[2], ratios[-3]


def coverage(method: Method, what: str) -> float:
    """In what part of the tables the truth, that both are the same, is in the interval."""
    good = 0
    for seed in range(TABLES):
        first, again = same_thing(seed)
        low, high = method(again, first, what)
        good += low <= 1 <= high
    return good / TABLES


@pytest.mark.parametrize("what", ["cpu", "p50", "p95"])
def test_an_interval_holds_the_truth_as_often_as_it_says(what: str) -> None:
    assert 0.9 <= coverage(by_round, what) < 1


def test_one_by_seconds_does_not() -> None:
    """Or these numbers would be too tame to tell the two apart."""
    assert coverage(by_second, "p50") < 0.3
    assert coverage(by_second, "p95") < 0.3


def test_the_same_thing_is_seldom_called_a_result() -> None:
    called = 0
    for seed in range(TABLES):
        first, again, third = same_thing(seed, samples=3)
        samples = {"stock": first, "stock again": again, "freeze": third}
        ratio = latency_report.figures(samples)["freeze"]["ratio_to_first"]["p50"]
        called += ratio["beyond_noise"]
    assert called <= 0.05 * TABLES


def test_what_is_slower_by_far_is_a_result() -> None:
    for seed in range(20):
        first, again, third = same_thing(seed, samples=3, factor=12.0)
        samples = {"stock": first, "stock again": again, "freeze": third}
        ratio = latency_report.figures(samples)["freeze"]["ratio_to_first"]["p50"]
        assert ratio["beyond_noise"], seed


@pytest.mark.parametrize("number", [8, 9, 12, 20, 31])
def test_signed_ranks_are_counted_exactly(number: int) -> None:
    """Against all signs where they are few, and against published tables beyond."""
    published = {8: 3, 9: 5, 12: 13, 20: 52, 31: 147}  # the highest sum with 2.5 % below it
    assert bench_sure._left_out(number) == published[number] + 1
    if number > 12:
        return
    sums = sorted(
        sum(rank for rank, sign in enumerate(signs, 1) if sign)
        for signs in itertools.product((0, 1), repeat=number)
    )
    below = sum(one <= published[number] for one in sums)
    assert below <= 0.025 * 2**number < sum(one <= published[number] + 1 for one in sums)


def test_no_interval_of_seven_rounds() -> None:
    assert bench_sure.ratio([1.0] * 7, [2.0] * 7) is None
    assert bench_sure.median_interval([1.0] * 7) is None
    assert bench_sure.ratio([*[1.0] * 7, float("nan")], [2.0] * 8) is None
    assert bench_sure.ratio([1.0] * 8, [2.0] * 8) is not None


def test_the_interval_of_a_median() -> None:
    """Of overhead's figures: never narrower than 95 %."""
    assert bench_sure.median_interval([float(value) for value in range(8)]) == (0, 7)
    assert bench_sure.median_interval([float(value) for value in range(30)]) == (9, 20)
    chance = random.Random(3)
    draws = [sorted(chance.gauss(0, 1) for _ in range(9)) for _ in range(400)]
    found = [bench_common.spread(one) for one in draws]
    held = sum(one.sure_from <= 0 <= one.sure_to for one in found)  # type: ignore[operator]
    assert 0.93 * 400 <= held < 400


def test_rounds_of_one_process_have_no_interval() -> None:
    spread = bench_common.spread([float(value) for value in range(100)], one_process=True)
    assert (spread.sure("%g"), spread.json()["sure_to"]) == ("one process, no interval", None)
