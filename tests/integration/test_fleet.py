"""gcpreload report --fleet: pods, each with a file of report --json, side by side."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from lib.puppet import Puppet
from lib.rings import command
from lib.run import memory_dir
from venvs import Interpreter

Report = dict[str, Any]


@pytest.fixture(scope="module")
def real(system_python: Interpreter) -> Report:
    """What the command really says of a tuned process."""
    with memory_dir() as ring_dir, Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "accept(one)", "garbage(60000)")
        puppet.wait_for("ready", "garbage()")
        return json.loads(command("report", "--json", "--dir", ring_dir).stdout)


class Fleet:
    """Files of pods, whose numbers are made."""

    def __init__(self, real: Report, path: Path) -> None:
        self.real, self.path, self.files = real, path, []
        self.random = random.Random(5)

    def pods(
        self,
        number: int,
        period: str,
        per_cpu: float,
        *,
        load: float = 0.4,
        version: str | None = None,
        seconds: float = 3600,
        service: str = "shop",
    ) -> None:
        for _ in range(number):
            report = copy.deepcopy(self.real)
            (process,) = report["processes"]
            process["hostname"] = f"pod-{len(self.files)}"
            process["service"] = {"name": service, "version": version, "environment": None}
            startup, serving = process["periods"]
            cpu = load * seconds * self.random.uniform(0.9, 1.1)
            part = {
                "seconds": seconds,
                "cpu_seconds": cpu,
                "in_request_collections": 1000,
                "in_request_seconds": cpu * per_cpu * self.random.uniform(0.8, 1.2),
                "connections": None,
            }
            serving.update(part, period=period, steady=part)
            process["periods"] = [startup, serving]
            self.files.append(self.path / f"{len(self.files)}.json")
            self.files[-1].write_text(json.dumps(report))

    def text(self) -> str:
        done = command("report", "--fleet", *self.files)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    def comparisons(self) -> list[dict[str, Any]]:
        done = command("report", "--fleet", "--json", *self.files)
        assert (done.returncode, done.stderr) == (0, b"")
        return json.loads(done.stdout)["comparisons"]


@pytest.fixture
def fleet(real: Report, tmp_path: Path) -> Fleet:
    return Fleet(real, tmp_path)


def test_tuned_against_untuned(fleet: Fleet) -> None:
    fleet.pods(8, "baseline", 0.06)
    fleet.pods(6, "tuned", 0.02)
    (found,) = fleet.comparisons()
    assert (found["of"], found["service"], found["sure"]) == ("tuning", "shop", "less")
    assert (found["a"]["pods"], found["b"]["pods"]) == (8, 6)
    assert found["low"] < 1 / 3 < found["high"] < 0.5
    assert found["a"]["in_request_seconds_per_cpu_second"] == pytest.approx(0.06, rel=0.2)
    text = fleet.text()
    assert "shop: tuned against untuned" in text
    assert "tuned: less time in collections in requests per CPU second: 0.3" in text


def test_equal_pods(fleet: Fleet) -> None:
    fleet.pods(6, "baseline", 0.05)
    fleet.pods(6, "tuned", 0.05)
    (found,) = fleet.comparisons()
    assert found["sure"] == "nothing"
    assert found["low"] < 1 < found["high"]
    assert "No difference is sure" in fleet.text()


def test_too_few(fleet: Fleet) -> None:
    fleet.pods(9, "baseline", 0.06)
    fleet.pods(3, "tuned", 0.001)
    fleet.pods(5, "tuned", 0.001, seconds=30)
    (found,) = fleet.comparisons()
    assert (found["sure"], found["ratio"]) == (None, None)
    assert found["b"]["left_out"] == 5
    assert "there are 9 untuned and 3 tuned" in found["not_compared"]


def test_other_loads(fleet: Fleet) -> None:
    fleet.pods(6, "baseline", 0.06, load=0.5)
    fleet.pods(6, "tuned", 0.01, load=0.05)
    (found,) = fleet.comparisons()
    assert found["not_compared"].startswith("load differs: a median of ")
    assert "Not compared: load differs" in fleet.text()


def test_versions(fleet: Fleet) -> None:
    fleet.pods(5, "tuned", 0.02, version="1.9")
    fleet.pods(5, "tuned", 0.06, version="1.10")
    fleet.pods(5, "tuned", 0.06, version="1.1")
    fleet.pods(5, "tuned", 0.9, version="1.0", service="another")
    one, two = fleet.comparisons()
    assert [c["of"] for c in (one, two)] == ["versions"] * 2
    assert (one["a"]["version"], one["b"]["version"], one["sure"]) == ("1.1", "1.9", "less")
    assert (two["a"]["version"], two["b"]["version"], two["sure"]) == ("1.9", "1.10", "more")
    assert "shop, tuned: version 1.10 against 1.9" in fleet.text()


def test_versions_are_not_mixed(fleet: Fleet) -> None:
    """The untuned ones are all of another version: what is told is not the tuning."""
    fleet.pods(5, "baseline", 0.06, version="1")
    fleet.pods(5, "tuned", 0.02, version="2")
    assert fleet.comparisons() == []
    assert "Nothing to compare" in fleet.text()


def test_a_pod_counts_once(fleet: Fleet) -> None:
    fleet.pods(4, "tuned", 0.02)
    done = command("report", "--fleet", *fleet.files, fleet.files[0])
    assert done.returncode == 1
    assert b"has a process that" in done.stderr


def test_what_is_no_report(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("[1]")
    done = command("report", "--fleet", wrong)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"not a report" in done.stderr
    assert command("report", "--fleet").returncode == 2
    odd = tmp_path / "odd"
    odd.write_text(
        '{"processes": [null, 1, {"periods": 1}, {"pid": 7, "periods": [null, {"period": "tuned", '
        '"seconds": "x", "cpu_seconds": null, "steady": []}]}]}'
    )
    assert command("report", "--fleet", odd).returncode == 0
