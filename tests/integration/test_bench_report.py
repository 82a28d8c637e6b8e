"""What scripts/bench says of numbers, of made-up ones: no more than they bear out."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import bench_common
import bench_latency
import bench_sure
import latency_apps
import latency_file
import latency_report
import pytest
from latency_file import Run
from latency_report import Interval, Sample
from lib.paths import ROOT

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


def printed(samples: dict[str, Sample], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was counted, and the latency."""
    for table in latency_report.tables(TITLE, latency_report.figures(samples)):
        table.print()
    return capsys.readouterr().out.split(f"\n{TITLE}: ")[1:]


def row(table: str, mode: str) -> list[str]:
    (line,) = re.findall(rf"^{re.escape(mode)}  .*", table, re.M)
    return re.split(r"  +", line)


@pytest.mark.parametrize(("rounds", "says"), [(1, "1 round"), (2, "2 rounds"), (7, "7 rounds")])
def test_nothing_is_compared_of_few_rounds(
    rounds: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    modes = {"stock": 1.0, "stock again": 1.0, "freeze": 2.0}
    samples = {mode: sample([factor] * rounds) for mode, factor in modes.items()}
    counted, latency = printed(samples, capsys)
    assert f"latency in ms ({says}: what was seen, no result)" in TITLE + latency
    assert row(latency, "A/A band") == ["A/A band", *["-"] * (len(row(latency, "stock")) - 1)]
    assert "-" in row(counted, "freeze")
    assert float(row(latency, "freeze")[1].split()[0]) > 2900
    ratios = latency_report.figures(samples)["freeze"]["ratio_to_first"]
    assert set(ratios.values()) == {None}


def test_the_band_of_the_same_thing_is_first(capsys: pytest.CaptureFixture[str]) -> None:
    steady = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.02]
    modes = {"stock": steady, "stock again": steady[::-1], "freeze": [2.0] * 8}
    samples = {mode: sample(factors) for mode, factors in modes.items()}
    for table in printed(samples, capsys):
        lines = [line for line in table.splitlines() if line][1:]
        assert [re.split(r"  +", line)[0] for line in lines[2:]] == ["A/A band", *modes]
    ratio = latency_report.figures(samples)["freeze"]["ratio_to_first"]["p50"]
    assert ratio["beyond_noise"]
    assert 1.8 < ratio["sure_from"] <= ratio["ratio"] <= ratio["sure_to"] < 2.3
    (cell,) = re.findall(r"^freeze +(\S+; \S+ \([^)]*\))  ", table, re.M)
    assert re.fullmatch(r"\d+; \d\.\d\d \(\d\.\d\d to \d\.\d\d\)", cell)


WILD = [1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0, 1.0]


@pytest.mark.parametrize(
    ("again", "freeze"),
    [
        ([9 * one for one in WILD], [2 * one for one in WILD]),  # the same differs by more
        (WILD, [*[2 * one for one in WILD[:4]], *WILD[4:]]),  # as does its own interval
    ],
    ids=["band", "interval"],
)
def test_what_noise_does_too_is_no_result(
    again: list[float], freeze: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {"stock": sample(WILD), "stock again": sample(again), "freeze": sample(freeze)}
    _, latency = printed(samples, capsys)
    assert set(row(latency, "freeze")[1:]) == {"within noise"}
    assert "within noise" not in " ".join(row(latency, "stock") + row(latency, "stock again"))
    assert "within noise" in latency_report.LEGEND


def test_rounds_that_differ_make_it_wide() -> None:
    """However many requests there are: half of the rounds were four times as slow, by chance."""
    steady, wild = sample([1.0] * 8, 5000), sample(WILD, 5000)
    median = latency_report.ratios(wild, steady)["p50"]
    assert median is not None
    assert median.sure_to > 2 * median.sure_from
    assert latency_report.ratios(wild, wild)["p50"] == bench_sure.Ratio(1.0, 1.0, 1.0)


def test_what_is_exact_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"stock": sample([1.0] * 8), "stock again": sample([1.0] * 8)}
    counted, latency = printed(samples, capsys)
    assert counted.startswith("what was counted")
    assert latency.startswith("latency in ms\n")
    words = row(counted, "stock")
    assert words[1:7] == ["0.100 %", "10.0", "10.0", "1.00", "1", "1"]
    heads = row(counted, "mode")
    assert "forks" not in heads
    assert "throttled" not in heads


def test_forks_and_what_children_hold(capsys: pytest.CaptureFixture[str]) -> None:
    samples = {name: sample([1.0] * 8) for name in ("stock", "stock again", "concurrent")}
    one = samples["concurrent"].intervals[3]
    one.forks += [0.002, 0.02]
    one.together = 5 << 20
    one.collections.append({"cause": "idle", "seconds": 0.3})
    counted, _ = printed(samples, capsys)
    heads = row(counted, "mode")
    found = dict(zip(heads[1:], row(counted, "concurrent")[1:]))
    assert (found["forks"], found["longest fork ms"]) == ("2", "20.0")
    assert (found["highest RSS MB"], found["with children"]) == ("1", "5")
    assert found["99.9 % ms"] == "10.0"
    assert dict(zip(heads[1:], row(counted, "stock")[1:]))["forks"] == "0"


def test_events_are_steps_or_forks() -> None:
    """However long a fork's child has worked: that held nobody up."""
    step = {"time": 1.0, "cause": "automatic", "seconds": 0.001}
    mark = {"time": 2.0, "fork_seconds": 0.004, "seconds": 1.5}
    events = [step, mark, {"time": 3.0, "events_lost": 3}]
    assert latency_report.sorted_out(events) == ([step], [0.004])


def test_no_percentile_of_few_samples(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither of few in all rounds together, nor of few in one of them."""
    samples = {"stock": sample([1.0] * 8, 5), "stock again": sample([2.0] * 8, 5)}
    (counted,) = printed(samples, capsys)
    assert "latency" not in counted
    lopsided = sample([1.0] * 8, 1000)
    lopsided.intervals[3].latencies[4:] = []
    assert Sample(lopsided.intervals).latency(50) is None
    assert sample([1.0] * 8, 1000).latency(99) is not None
    assert sample([1.0] * 8, 1000).latency(99.9) is None
    assert sample([1.0], 500).latency(95) is None


# ---- the file of a run ----


def a_run(rounds: int = 8) -> Run:
    modes = {"stock": 1.0, "stock again": 1.0, "freeze": 2.0}
    table = {mode: sample([factor] * rounds, 200).intervals for mode, factor in modes.items()}
    return Run("made up", {"cpu": "none"}, {TITLE: table}, 61.0)


def render(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "bench", "latency", "--render", path, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_tables_can_be_made_again_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / "run.json", a_run()
    latency_file.save(run, path)
    bench_latency.show(run, [TITLE], markdown=False)
    tables = capsys.readouterr().out
    done = render(path)
    assert (done.returncode, done.stderr) == (0, "bench: it took 1 min 1 s\n")
    assert done.stdout.startswith(tables)
    assert done.stdout.endswith(f"made up\n{latency_report.LEGEND}\n")
    assert list(tmp_path.iterdir()) == [path]
    # GitHub's tables: each line of one has as many cells as its head.
    lines = [one for one in render(path, "--markdown").stdout.splitlines() if one.startswith("|")]
    assert len(lines) == 2 * (2 + 4)
    assert len({one.count("|") for one in lines[:6]}) == 1


def test_a_file_of_an_earlier_version_gives_the_same_tables(tmp_path: Path) -> None:
    """It knows no forks, no children, and no mode without a row."""
    path, run = tmp_path / "run.json", a_run()
    run.left_out = ["app: idle is not in force"]
    latency_file.save(run, path)
    now = render(path).stdout
    assert now.endswith("No row: app: idle is not in force.\n")
    whole = json.loads(path.read_text())
    del whole["left_out"]
    for modes in whole["tables"].values():
        for intervals in modes.values():
            for one in intervals:
                del one["forks"], one["together"]
    path.write_text(json.dumps(whole))
    assert render(path).stdout == now.rpartition("No row")[0]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path, run = tmp_path / "run.json", a_run(1)
    latency_file.save(run, path)
    before = path.read_bytes()
    run.about = object()  # type: ignore[assignment]
    with pytest.raises(TypeError):
        latency_file.save(run, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "tables": 3}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    done = render(path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(path) in done.stderr


# ---- which modes, in which order ----


def settled(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    options = bench_latency.parse()
    bench_latency.settle(options, "python3")
    return [mode.name for mode in options.modes]


@pytest.mark.parametrize(
    ("words", "modes"),
    [
        (["--quick"], ["stock", "stock again", "freeze", "idle"]),
        ([], [mode.name for mode in latency_apps.MODES]),
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
    assert bench_latency.FULL["rounds"] >= bench_sure.LEAST_ROUNDS
    with pytest.raises(bench_common.Failed, match="none is left"):
        settled(monkeypatch, "--modes", "recipe", "--app", "gunicorn a:b")


def test_no_mode_is_always_next_to_the_first() -> None:
    modes = latency_apps.MODES
    turns = [bench_latency.in_turns(modes, number) for number in range(8)]
    assert all(sorted(one, key=modes.index) == modes for one in turns)
    behind = {one[(one.index(modes[0]) + 1) % len(modes)].name for one in turns}
    assert len(behind) > 3
    assert turns == [bench_latency.in_turns(modes, number) for number in range(8)]


@pytest.mark.parametrize("number", [2, 7, 8])
def test_overhead_has_no_interval_of_few_rounds(number: int) -> None:
    spread = bench_common.spread([float(value) for value in range(number)])
    enough = number >= bench_sure.LEAST_ROUNDS
    assert spread.sure("%g").startswith("95 %: " if enough else f"{number} rounds, no interval")
    assert (spread.json()["sure_from"] is not None) == enough
