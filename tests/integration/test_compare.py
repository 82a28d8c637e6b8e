"""gcpreload report --compare: two files of report --json side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import command
from lib.run import memory_dir
from venvs import Interpreter


def saved(python: Interpreter, path: Path, **settings: str) -> Path:
    with memory_dir() as ring_dir, Puppet(python, ring_dir, **settings) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(200000)", "gc.collect()")
        done = command("report", "--json", "--dir", ring_dir)
    assert done.returncode == 0
    path.write_bytes(done.stdout)
    return path


def test_stock_against_tuned(system_python: Interpreter, tmp_path: Path) -> None:
    a = saved(system_python, tmp_path / "a", GCPRELOAD_MODE="observe")
    b = saved(system_python, tmp_path / "b")
    done = command("report", "--compare", a, b)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"generation 2: longest" in done.stdout
    assert b"A and B are not compared: only " in done.stdout
    assert b"and less than 60 s is too short.\n" in done.stdout
    found = json.loads(command("report", "--compare", "--json", a, b).stdout)
    collections = []
    for name, path, period in (("a", a, "baseline"), ("b", b, "tuned")):
        (process,) = json.loads(path.read_text())["processes"]
        (part,) = (p for p in process["periods"] if p["period"] == period)
        rate = 60 / part["seconds"]
        generation = part["generations"][0]
        assert found["processes"][name] == 1
        assert found["seconds"][name] == pytest.approx(part["seconds"])
        collections.append(generation["collections"])
        expected = generation["collections"] * rate
        assert found["generation_0_collections"][name] == pytest.approx(expected)
        assert found["generation_0_max_seconds"][name] == generation["max_seconds"]
        assert found["in_request_max_seconds"][name] == part["in_request_max_seconds"]
        expected = part["in_request_seconds"] / part["cpu_seconds"]
        assert found["in_request_seconds_per_cpu_second"][name] == pytest.approx(expected)
    # Not their rates: how long each was measured is the machine's doing.
    assert collections[0] > collections[1]
    assert found["not_compared"].startswith("only ")
    ratios = [figure["ratio"] for figure in found.values() if isinstance(figure, dict)]
    assert ratios
    assert set(ratios) == {None}


def longer(path: Path, into: Path) -> Path:
    """The same, as if it had lasted for a quarter of an hour, with as much to do."""
    report = json.loads(path.read_text())
    for process in report["processes"]:
        for period in process["periods"]:
            period["seconds"] = 900.0
            for key in ("cpu_seconds", "in_request_seconds", "in_request_collections"):
                period[key] *= 1000
    into.write_text(json.dumps(report))
    return into


def test_ratios(system_python: Interpreter, tmp_path: Path) -> None:
    one = saved(system_python, tmp_path / "one", GCPRELOAD_MODE="observe")
    a, b = longer(one, tmp_path / "a"), longer(one, tmp_path / "b")
    found = json.loads(command("report", "--compare", "--json", a, b).stdout)
    assert found["not_compared"] is None
    assert found["generation_0_collections"]["ratio"] == 1
    assert found["in_request_seconds_per_cpu_second"]["ratio"] == 1
    assert found["in_request_max_seconds"]["ratio"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", b"not JSON: byte 0"),
        (b"\x7fELF\0\1", b"not JSON: byte 0"),
        (b"[" * 100000, b"nested too deeply"),
        (b"[1, 2]", b"not a report"),
        (b'{"processes": 1}', b"not a report"),
        (b'{"processes": [', b"not JSON"),
    ],
)
def test_what_is_no_report(content: bytes, said: bytes, tmp_path: Path) -> None:
    fine, wrong = tmp_path / "fine", tmp_path / "wrong"
    fine.write_text('{"processes": [], "totals": []}')
    wrong.write_bytes(content)
    done = command("report", "--compare", fine, wrong)
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in done.stderr
    assert str(wrong).encode() in done.stderr


def test_odd_reports_are_read(tmp_path: Path) -> None:
    """Nothing in it is what it should be."""
    odd = tmp_path / "odd"
    odd.write_text(
        '{"processes": [null, 1, [], {"periods": 1}, {"periods": [null, {"period": 1}, '
        '{"period": "tuned", "seconds": "x", "generations": [{"generation": 1e300}, '
        '{"generation": -1}, {"generation": 1, "collections": -5}]}]}]}'
    )
    for words in ([], ["--json"]):
        assert command("report", "--compare", *words, odd, odd).returncode == 0


def test_wrong_usage(tmp_path: Path) -> None:
    assert b"two files of report --json" in command("report", "--compare", tmp_path).stderr
    done = command("report", "--compare", tmp_path / "no", tmp_path / "no")
    assert done.returncode == 1
    assert b"No such file" in done.stderr
