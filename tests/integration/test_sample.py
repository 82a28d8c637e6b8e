"""GCPRELOAD_SAMPLE: a share of the processes is tuned, the others are there for comparison."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import Process, command, counted, ps
from lib.run import environment, run
from lib.servers import own_frozen, own_thresholds
from venvs import Interpreter

SERVE = """
import select, socket
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen()
select.select([one], [], [], 0)
"""


def ended(python: Interpreter, ring_dir: Path, number: int, *prefix: str, **settings: str) -> None:
    """So many processes that serve, one after the other."""
    for _ in range(number):
        done = run([*prefix, python.path, "-c", SERVE], environment(ring_dir, **settings))
        assert (done.returncode, done.stderr) == (0, b"")


def samples(ring_dir: Path) -> list[str]:
    """--all shows the living Pythons of the whole machine, too: those have no file."""
    return [process.sample for process in ps(ring_dir, "--all") if process.state != "starting"]


def untuned(puppet: Puppet, python: Interpreter) -> Process:
    shown = puppet.shown()
    assert (shown.state, shown.mode, shown.sample) == ("observing", "observe", "untuned")
    assert shown.reason == "not in the sample (GCPRELOAD_SAMPLE)"
    state = puppet.collector()
    assert list(state["thresholds"]) == own_thresholds(python)
    assert state["frozen_objects"] <= own_frozen(python)
    return shown


@pytest.mark.parametrize("mode", ["freeze", "idle"])
def test_none_and_all(python: Interpreter, mode: str, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_MODE": mode, "GCPRELOAD_SAMPLE": "0"}
    with Puppet(python, ring_dir, **settings) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(10000)")
        shown = untuned(puppet, python)
        assert shown.counts() == counted(puppet.do("gc.get_stats()"))
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode, GCPRELOAD_SAMPLE="1.0") as puppet:
        puppet.do("one = listen()", "arm(one)")
        shown = puppet.shown()
        assert (shown.state, shown.mode, shown.sample) == ("ready", mode, "none")


def test_a_pod_agrees(system_python: Interpreter, ring_dir: Path) -> None:
    ended(system_python, ring_dir, 6, GCPRELOAD_SAMPLE="0.5")
    assert set(samples(ring_dir)) in ({"tuned"}, {"untuned"})


def test_pods_differ(system_python: Interpreter, ring_dir: Path) -> None:
    """And a larger share has all of a smaller one."""
    names = [f"web-7c9d5b6f4-{number}" for number in range(24)]
    found = {}
    for share in ("0.3", "0.6"):
        for name in names:
            script = 'hostname "$0" && exec "$@"'
            prefix = ["unshare", "--uts", "sh", "-c", script, name]
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
                pytest.skip("another host name needs root")
            ended(system_python, ring_dir, 1, *prefix, GCPRELOAD_SAMPLE=share)
        shown = ps(ring_dir, "--all")
        found[share] = {p.hostname for p in shown if p.state != "starting" and p.sample == "tuned"}
        command("clean", "--dir", ring_dir)
    assert 0 < len(found["0.3"]) < len(found["0.6"]) < len(names)
    assert found["0.3"] < found["0.6"]


def test_processes_differ(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_SAMPLE": "0.5", "GCPRELOAD_SAMPLE_BY": "process"}
    ended(system_python, ring_dir, 30, **settings)
    assert set(samples(ring_dir)) == {"tuned", "untuned"}


def test_one_may_be_tuned_all_the_same(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0") as puppet:
        puppet.do("one = listen()", "arm(one)")
        pid = str(untuned(puppet, system_python).pid)
        # It acts when it next waits, which is after this.
        command("set", "--dir", ring_dir, "--timeout", "0.1", pid, "mode=freeze")
        puppet.do("import time")
        puppet.wait_for("ready", "time.sleep(0.05)", "arm(one)")
        assert puppet.collector()["frozen"]


def test_report_shows_both_side_by_side(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_SERVICE": "shop"}
    with (
        Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0", **settings) as stock,
        Puppet(system_python, ring_dir, **settings) as tuned,
    ):
        for puppet in (stock, tuned):
            puppet.do("one = listen()", "arm(one)", "garbage(100000)")
        report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
        (total,) = report["totals"]
        seen = {
            period["period"]: sum(g["collections"] for g in period["generations"])
            for period in total["periods"]
        }
        assert seen["baseline"] > 10 * seen["tuned"] > 0
