"""gcpreload ps --config: the settings in force in a process, and where each comes from."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from lib.mounts import need_mounts
from lib.paths import APPS, COMMAND
from lib.puppet import Puppet
from lib.rings import command
from lib.run import environment, run
from lib.server import gunicorn
from lib.users import NOBODY
from venvs import Interpreter

ARMED = ("one = listen()", "arm(one)")
ERASE = """
import ctypes
fields = open('/proc/self/stat').read().rpartition(') ')[2].split()
begin, end = int(fields[47]), int(fields[48])
ctypes.memset(begin, 0, end - begin)
"""


def config(ring_dir: Path, *words: str) -> list[dict[str, Any]]:
    done = command("ps", "--config", "--json", "--dir", ring_dir, *words)
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def one(ring_dir: Path, *words: str) -> dict[str, Any]:
    (process,) = config(ring_dir, *words)
    return process


def value(process: dict[str, Any], name: str) -> tuple[str, str, str]:
    row = process["settings"][name]
    return row["value"], row["from"], row["source"]


def test_each_source(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("mode = off\nslow_ms = 1s\n[*puppet*]\nyoung_ms = 5\n")
    settings = {"GCPRELOAD_CONF": str(conf), "GCPRELOAD_MODE": "Idle", "OTEL_SERVICE_NAME": "shop"}
    with Puppet(system_python, ring_dir, **settings) as puppet:
        puppet.do(*ARMED)
        process = one(ring_dir)
        assert process["pid"] == puppet.pid
        assert value(process, "MODE") == ("Idle", "environment", "GCPRELOAD_MODE")
        assert value(process, "SLOW_MS") == ("1s", "file", f"line 2 of {conf}")
        assert process["settings"]["SLOW_MS"]["file"] == str(conf)
        assert process["settings"]["SLOW_MS"]["line"] == 2
        assert value(process, "YOUNG_MS") == ("0", "environment", "GCPRELOAD_YOUNG_MS")
        assert value(process, "GROWTH") == ("0.3", "default", "default")
        assert value(process, "SERVICE") == ("shop", "environment", "OpenTelemetry's variables")
        assert process["notes"] == []
        assert config(ring_dir, str(puppet.pid)) == [process]


def test_workers_stand_together(system_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(system_python, ring_dir, GCPRELOAD_SLOW_MS="never") as server:
        workers = server.workers_in_state("ready", ring_dir)
        pids = sorted([server.pid, *(worker.pid for worker in workers)])
        said = command("ps", "--config", "--dir", ring_dir).stdout.decode()
        together = ", ".join(map(str, pids))
        assert said.startswith(f"{together}: ")
        assert said.count("SETTING") == 1
        assert "\nmode          freeze " in said
        assert "\nnote: GCPRELOAD_SLOW_MS=never: must be milliseconds" in said


def test_by_a_command(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="") as puppet:
        puppet.do(*ARMED)
        command("set", "--dir", ring_dir, "--timeout", "0.1", str(puppet.pid), "mode=observe")
        puppet.do("import time")
        puppet.wait_for("observing", "time.sleep(0.05)", "arm(one)")
        mode, kind, source = value(one(ring_dir), "MODE")
        assert (mode, kind) == ("observe", "control")
        assert source.startswith("gcpreload set")
        assert "(before: concurrent, default)" in source


def test_by_the_process_itself(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0") as puppet:
        puppet.do(*ARMED)
        mode, kind, source = value(one(ring_dir), "MODE")
        assert (mode, kind) == ("observe", "process")
        assert source.startswith("not in the sample (GCPRELOAD_SAMPLE=0), by ")
    with Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="x") as puppet:
        puppet.do(*ARMED)
        process = one(ring_dir)
        reason = "unusable setting: GCPRELOAD_SAMPLE=x"
        assert value(process, "MODE") == ("observe", "unusable", reason)
        assert value(process, "SAMPLE") == ("1", "default", "default")
        assert any("GCPRELOAD_SAMPLE=x: must be" in note for note in process["notes"])


def test_index_of_a_job(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, JOB_COMPLETION_INDEX="7") as puppet:
        puppet.do(*ARMED)
        wanted = ("7", "environment", "JOB_COMPLETION_INDEX")
        assert value(one(ring_dir), "SAMPLE_INDEX") == wanted


def test_disabled(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_DISABLE="Yes") as puppet:
        puppet.do("1")
        process = one(ring_dir, str(puppet.pid))
        assert list(process["settings"]) == ["DISABLE"]
        assert value(process, "DISABLE") == ("Yes", "environment", "GCPRELOAD_DISABLE")
        assert "the library does nothing" in process["notes"][0]


@pytest.mark.parametrize("before", [True, False])
def test_a_file_that_was_changed(
    before: bool, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    conf = tmp_path / "conf"
    conf.write_text("slow_ms = 1s\n")
    now = time.time()
    os.utime(conf, (now - 60, now - 60))
    with Puppet(system_python, ring_dir, GCPRELOAD_CONF=str(conf)) as puppet:
        puppet.do(*ARMED)
        if not before:
            os.utime(conf, (now + 60, now + 60))
        notes = one(ring_dir)["notes"]
        assert any("was changed after the process began" in note for note in notes) != before


def test_a_file_that_was_changed_before_a_fork(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """The worker may have what its parent read."""
    conf = tmp_path / "conf"
    conf.write_text("slow_ms = 1s\n")
    with gunicorn(system_python, ring_dir, workers=1, GCPRELOAD_CONF=str(conf)) as server:
        (old,) = server.workers_in_state("ready", ring_dir, 1)
        conf.write_text("slow_ms = 2s\n")
        os.kill(old.pid, 15)
        server.adopt(old.pid)

        def worker() -> int:
            (new,) = server.workers_in_state("ready", ring_dir, 1)
            return new.pid

        pid = worker()
        while pid == old.pid:
            pid = worker()
        (note,) = one(ring_dir, str(pid))["notes"]
        assert f"was changed after process {server.pid} began, which forked this one" in note


def test_another_users(system_python: Interpreter, ring_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        done = run([*NOBODY, COMMAND, "ps", "--config", "--json", str(puppet.pid)], environment())
        if not done.stdout:
            pytest.skip("other users may not read this directory")
        (process,) = json.loads(done.stdout)
        assert done.returncode == 1
        assert process["settings"] == {}
        assert "its environment cannot be read (Permission denied)" in process["unreadable"]


def test_a_file_in_another_mount_namespace(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """As in a container: it is read as the process sees it."""
    need_mounts()
    conf = tmp_path / "conf"
    conf.write_text("slow_ms = 1s\n")
    mounted = tmp_path / "mounted"
    mounted.write_text("slow_ms = 2s\n")
    script = 'mount --bind "$1" "$2"; shift 2; exec "$@"'
    program = ["unshare", "-m", "sh", "-ec", script, "sh", mounted, conf]
    program += [system_python.path, APPS / "puppet.py"]
    settings = {"GCPRELOAD_CONF": str(conf)}
    with Puppet(system_python, ring_dir, program=program, **settings) as puppet:
        puppet.do(*ARMED)
        assert value(one(ring_dir), "SLOW_MS")[0] == "2s"


def test_an_environment_that_was_overwritten(system_python: Interpreter, ring_dir: Path) -> None:
    """By a title: what the ring knows is said."""
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
        puppet.do(*ARMED, ERASE)
        process = one(ring_dir)
        assert process["settings"] == {}
        assert "overwritten by a title" in process["unreadable"]
        assert "in force: mode freeze, service shop, trigger auto" in process["unreadable"]


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("x", 2, "x: not a process id"),
        ("99999999", 1, "99999999: no such process"),
        ("self", 1, "not under the library; see: gcpreload doctor --pid"),
    ],
)
def test_pids_that_are_none(word: str, status: int, said: str, ring_dir: Path) -> None:
    pid = str(os.getpid()) if word == "self" else word
    done = command("ps", "--config", "--dir", ring_dir, pid)
    assert done.returncode == status
    assert said in done.stderr.decode()
