"""What scripts/bench says of numbers, of made-up ones: no more than they bear out."""

from __future__ import annotations

import json
import random
import re
import sys

import bench_common
import bench_latency
import latency_report
import latency_server
import pytest
from latency_report import Interval, Sample

TITLE = "app, 70 % of 100 requests a second"


def interval(latencies: list[float]) -> Interval:
    return Interval(
        seconds=10.0,
        latencies=latencies,
        failures=0,
        late=0.0,
        cpu=1.0,
        rss=1 << 20,
        highest=1 << 20,
        throttled=0.0,
        collections=[{"cause": "automatic", "seconds": 0.01}],
    )


def sample(factors: list[float], number: int = 1000) -> Sample:
    """A round for each factor, by which its latencies are longer."""
    chance = random.Random(7)
    return Sample([interval([f * chance.uniform(1, 2) for _ in range(number)]) for f in factors])


def latency_table(samples: dict[str, Sample], capsys: pytest.CaptureFixture[str]) -> str:
    latency_report.print_tables(TITLE, samples)
    return capsys.readouterr().out.partition("what it costs")[0]


@pytest.mark.parametrize(("rounds", "says"), [(1, "1 round"), (2, "2 rounds"), (7, "7 rounds")])
def test_no_interval_of_few_rounds(
    rounds: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {"stock": sample([1.0] * rounds), "stock again": sample([2.0] * rounds)}
    said = latency_table(samples, capsys)
    assert f"p95 to the first ({says}, no interval)" in said
    assert "sure" not in said
    (row,) = re.findall(r"^stock again.*", said, re.M)
    assert " 2.00  " in row
    assert "(" not in row
    figure = latency_report.figures(samples)["stock again"]["ratio_to_first"]["p95"]
    assert list(figure) == ["ratio"]


def test_an_interval_of_eight_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"stock": sample([1.0] * 8), "freeze": sample([2.0] * 8)}
    said = latency_table(samples, capsys)
    assert "p95 to the first (95 % sure)" in said
    assert re.search(r"^freeze .* 2\.00 \(\d\.\d\d to \d\.\d\d\)", said, re.M)
    ratio = latency_report.figures(samples)["freeze"]["ratio_to_first"]["p95"]
    assert 1.9 < ratio["sure_from"] <= ratio["ratio"] <= ratio["sure_to"] < 2.1


def test_rounds_that_differ_make_it_wide() -> None:
    """However many requests there are: half of the rounds were four times as slow, by chance."""
    slow_at_times = [1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0, 1.0]
    steady, wild = sample([1.0] * 8, 5000), sample(slow_at_times, 5000)
    median = latency_report.ratios(wild, steady)[0]
    assert median["sure_to"] > 2 * median["sure_from"]
    same = latency_report.ratios(wild, wild)[0]
    assert same == {"ratio": 1.0, "sure_from": 1.0, "sure_to": 1.0}


def test_no_percentile_of_few_samples(capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"stock": sample([1.0] * 8, 20), "freeze": sample([2.0] * 8, 20)}
    said = latency_table(samples, capsys)
    assert re.search(r"^freeze +\d\.?\d*\S* +- +- +- +", said, re.M), said
    json.dumps(latency_report.without_nan(latency_report.figures(samples)), allow_nan=False)


def settled(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    options = bench_latency.parse()
    bench_latency.settle(options, "python3")
    return [mode.name for mode in options.modes]


@pytest.mark.parametrize(
    ("words", "modes"),
    [
        (["--quick"], ["stock", "stock again", "freeze", "idle"]),
        ([], [mode.name for mode in latency_server.MODES]),
        (["--modes", "stock"], ["stock", "stock again"]),
        (["--modes", "stock,idle,stock again"], ["stock", "stock again", "idle"]),
        (["--modes", "freeze,idle"], ["freeze", "freeze again", "idle"]),
        (["--modes", "recipe,idle", "--app", "gunicorn a:b"], ["idle", "idle again"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_first_is_always_measured_again(
    words: list[str], modes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settled(monkeypatch, *words) == modes


def test_as_many_rounds_as_an_interval_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench_latency.FULL["rounds"] >= bench_common.LEAST_ROUNDS
    with pytest.raises(bench_common.Failed, match="none is left"):
        settled(monkeypatch, "--modes", "recipe", "--app", "gunicorn a:b")


@pytest.mark.parametrize("number", [2, 7, 8])
def test_overhead_has_no_interval_of_few_rounds(number: int) -> None:
    spread = bench_common.spread([float(value) for value in range(number)])
    enough = number >= bench_common.LEAST_ROUNDS
    assert spread.sure("%g").startswith("95 %: " if enough else f"{number} rounds, no interval")
    assert (spread.json()["sure_from"] is not None) == enough
