"""How people write settings, and what they get wrong: a real server is not tuned by mistake.
test_bad_input has every setting; here is what ps, metrics and the log show."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lib.paths import BUILD
from lib.rings import Process, command, ps
from lib.run import environment, run
from lib.server import Server, gunicorn
from lib.servers import own_frozen, own_thresholds
from venvs import Interpreter

SERVICE_LINKS = {
    "GCPRELOAD_EXPORT_SERVICE_HOST": "10.96.0.7",
    "GCPRELOAD_EXPORT_SERVICE_PORT": "9721",
    "GCPRELOAD_EXPORT_SERVICE_PORT_METRICS": "9721",
    "GCPRELOAD_EXPORT_PORT": "tcp://10.96.0.7:9721",
    "GCPRELOAD_EXPORT_PORT_9721_TCP": "tcp://10.96.0.7:9721",
    "GCPRELOAD_EXPORT_PORT_9721_TCP_PROTO": "tcp",
    "GCPRELOAD_EXPORT_PORT_9721_TCP_PORT": "9721",
    "GCPRELOAD_EXPORT_PORT_9721_TCP_ADDR": "10.96.0.7",
}


def workers(server: Server, state: str, ring_dir: Path) -> list[Process]:
    return server.workers_in_state(state, ring_dir)


@pytest.mark.parametrize(
    ("settings", "state", "mode"),
    [
        ({"MODE": "Observe"}, "observing", "observe"),
        ({"MODE": "IDLE"}, "ready", "idle"),
        ({"SAMPLE": "0%"}, "observing", "observe"),
        ({"SAMPLE": ".0"}, "observing", "observe"),
        ({"SAMPLE": "100%"}, "ready", "freeze"),
        ({"BASELINE": "1h30m"}, "baseline", "freeze"),
        ({"TRIGGER": "AUTO", "STARTUP_GC": "True"}, "ready", "freeze"),
    ],
    ids=str,
)
def test_spellings(
    settings: dict[str, str], state: str, mode: str, system_python: Interpreter, ring_dir: Path
) -> None:
    env = {f"GCPRELOAD_{name}": value for name, value in settings.items()}
    with gunicorn(system_python, ring_dir, **SERVICE_LINKS, **env) as server:
        for worker in workers(server, state, ring_dir):
            assert worker.mode == mode
        assert "gcpreload" not in server.output()


@pytest.mark.parametrize(
    ("name", "value"), [("DISABLE", "True"), ("DISABLE", "on"), ("MODE", "Off"), ("DISABLE", "ja")]
)
def test_off_is_off(name: str, value: str, system_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(system_python, ring_dir, **{f"GCPRELOAD_{name}": value}) as server:
        state = server.json("/state")
        assert state["thresholds"] == own_thresholds(system_python)
        assert state["frozen"] == own_frozen(system_python)
        assert ps(ring_dir) == []
        said = "GCPRELOAD_DISABLE=ja: must be 0 or 1; the library is off" in server.output()
        assert said == (value == "ja")
        assert server.output().count("gcpreload[") == said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODE", "frezze"),
        ("MODE", "parallel"),  # of a version that is to come
        ("SAMPLE", "1O%"),
        ("BASELINE", "10 min"),
        ("ONLY", "*[gunicorn*"),
        ("EXCEPT", "*[celery*"),
        ("TRIGGER", "ready"),
    ],
)
def test_unusable_means_observe(
    name: str, value: str, system_python: Interpreter, ring_dir: Path
) -> None:
    """With the reason in ps, in the metrics, and once in the log."""
    with gunicorn(system_python, ring_dir, **{f"GCPRELOAD_{name}": value}) as server:
        reason = f"unusable setting: GCPRELOAD_{name}={value}"
        for worker in workers(server, "observing", ring_dir):
            assert (worker.mode, worker.reason) == ("observe", reason)
            assert worker.thresholds == own_thresholds(system_python)
        assert reason in command("ps", "--dir", ring_dir).stdout.decode()
        export = [BUILD / "gcpreload-export", "--once", "--dir", ring_dir]
        metrics = subprocess.run(export, capture_output=True, text=True, check=True).stdout
        label = f'state="observing",reason="{reason}",mode="observe"'
        assert any(label in line for line in metrics.splitlines())
        (line,) = [one for one in server.output().splitlines() if "gcpreload[" in one]
        assert f"GCPRELOAD_{name}={value}: must be " in line
        assert line.endswith("; nothing is tuned, only observed")


def test_set_may_tune_it_all_the_same(system_python: Interpreter, ring_dir: Path) -> None:
    """Who asks for it by hand has decided."""
    with gunicorn(system_python, ring_dir, GCPRELOAD_MODE="frezze") as server:
        pids = [str(worker.pid) for worker in workers(server, "observing", ring_dir)]
        command("set", "--dir", ring_dir, *pids, "mode=freeze")
        assert len(workers(server, "ready", ring_dir)) == len(pids)


@pytest.mark.parametrize("name", ["GCPRELOAD_EXPORT", "GCPRELOAD_PORTS", "GCPRELOAD_MODUS"])
def test_a_slip_of_the_pen_is_still_said(
    name: str, system_python: Interpreter, ring_dir: Path
) -> None:
    done = run([system_python.path, "-c", ""], environment(ring_dir, **{name: "1"}))
    assert f"{name} is not a setting of gcpreload".encode() in done.stderr
