"""GCPRELOAD_SAMPLE: a share of the processes is tuned, the others are there for comparison."""

from __future__ import annotations

import json
import re
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
    return [process.sample for process in ps(ring_dir, "--all") if process.file]


def untuned(puppet: Puppet, python: Interpreter) -> Process:
    shown = puppet.shown()
    assert (shown.state, shown.mode, shown.sample) == ("observing", "observe", "untuned")
    assert shown.reason.startswith("not in the sample (GCPRELOAD_SAMPLE=0), by ")
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


def on_host(name: str) -> list[str]:
    """What runs a command under that host name, as a pod does."""
    prefix = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("another host name needs root")
    return prefix


def tuned_hosts(ring_dir: Path) -> dict[str, str]:
    """With the reason; and of the others the reason says so."""
    found = {}
    for process in ps(ring_dir, "--all"):
        if not process.file:
            continue
        assert process.reason.startswith("in the" if process.sample == "tuned" else "not in the")
        if process.sample == "tuned":
            found[process.hostname] = process.reason
    return found


def test_a_deployments_pods_differ(system_python: Interpreter, ring_dir: Path) -> None:
    """And a larger share has all of a smaller one."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    names = [f"web-7c9d5b6f4-{letters[number : number + 5]}" for number in range(22)]
    found = {}
    for share in ("30%", "60%"):
        for name in names:
            ended(system_python, ring_dir, 1, *on_host(name), GCPRELOAD_SAMPLE=share)
        found[share] = set(tuned_hosts(ring_dir))
        command("clean", "--dir", ring_dir)
    assert 0 < len(found["30%"]) < len(found["60%"]) < len(names)
    assert found["30%"] < found["60%"]


@pytest.mark.parametrize("salt", ["", "june"])
def test_of_ten_in_a_stateful_set_one_is_tuned(
    salt: str, system_python: Interpreter, ring_dir: Path
) -> None:
    settings = {"GCPRELOAD_SAMPLE": "0.1", "GCPRELOAD_SAMPLE_SALT": salt}
    for number in range(10):
        ended(system_python, ring_dir, 1, *on_host(f"web-{number}"), **settings)
    ((host, reason),) = tuned_hosts(ring_dir).items()
    ordinal = host.removeprefix("web-")
    assert reason == f"in the sample (GCPRELOAD_SAMPLE=0.1), by ordinal {ordinal}"
    assert reason in command("ps", "--all", "--dir", ring_dir).stdout.decode()


def test_by_index(system_python: Interpreter, ring_dir: Path) -> None:
    """Whatever the host is called."""
    for index in range(4):
        settings = {"GCPRELOAD_SAMPLE": "1/4", "JOB_COMPLETION_INDEX": str(index)}
        ended(system_python, ring_dir, 1, **settings)
    assert sorted(samples(ring_dir)) == ["tuned", "untuned", "untuned", "untuned"]
    (reason,) = tuned_hosts(ring_dir).values()
    assert re.fullmatch(r"in the sample \(GCPRELOAD_SAMPLE=0.25\), by index [0-3]", reason)


def test_metrics_say_why(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_SAMPLE": "0.5", "GCPRELOAD_SAMPLE_INDEX": "0"}
    reasons = set()
    for index in ("0", "1"):
        settings["GCPRELOAD_SAMPLE_INDEX"] = index
        with Puppet(system_python, ring_dir, **settings) as puppet:
            puppet.do("one = listen()", "arm(one)")
            metrics = command("export", "--once", "--dir", ring_dir).stdout.decode()
            reasons |= set(re.findall(r'reason="([^"]* by index \d)"', metrics))
    assert len(reasons) == 2
    assert {reason.split()[0] for reason in reasons} == {"in", "not"}


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
