"""The main job: an unmodified gunicorn under the library, two workers, every kind of worker."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from lib.paths import COMMAND
from lib.rings import Process, by_pid, command, counted, ps, ring_files
from lib.run import files_below, memory_dir, wait_for
from lib.server import HEAP, Server, gunicorn
from lib.servers import own_frozen, own_thresholds
from venvs import Interpreter

KINDS = ["sync", "gthread", "gevent"]


class Running(NamedTuple):
    server: Server
    ring_dir: Path
    ready: list[Process]
    thresholds: list[int]  # the interpreter's own


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def running(kind: str, server_python: Interpreter) -> Iterator[Running]:
    """One gunicorn for the tests of a kind and an interpreter; they run in their order."""
    with memory_dir() as ring_dir, gunicorn(server_python, ring_dir, kind=kind) as server:
        ready = server.workers_in_state("ready", ring_dir)
        yield Running(server, ring_dir, ready, own_thresholds(server_python))


def test_each_worker_is_ready(running: Running) -> None:
    server, ring_dir, ready, thresholds = running
    assert sorted(p.pid for p in ready) == sorted(server.workers())
    for process in ready:
        assert process.alive is True
        assert process.ppid == server.pid
        assert process.mode == "freeze"
        assert process.trigger.startswith("auto")
        assert process.thresholds == [50000, *thresholds[1:]]
        assert process.thresholds_before == thresholds
        assert process.frozen_objects > HEAP
        assert process.events_lost == 0
        assert 0 <= process.gc_time_share < 1
        assert "gunicorn" in process.command
        assert not process.reason
        collected_at_ready = [part for part in process.gc if part["cause"] == "ready"]
        assert [(p["generation"], p["collections"]) for p in collected_at_ready] == [(2, 1)]
        assert 0 < collected_at_ready[0]["max_seconds"] <= collected_at_ready[0]["seconds"]


def test_the_application_sees_what_ps_says(running: Running) -> None:
    server, _, ready, thresholds = running
    for process in ready:
        state = server.ask(process.pid, "/state")
        assert state["thresholds"] == [50000, *thresholds[1:]]
        assert state["frozen"] > HEAP
        assert state["enabled"] is True


def test_a_file_for_each_process(running: Running) -> None:
    """Each worker has its own; the master, which froze before it forked, serves nothing."""
    server, ring_dir, _, thresholds = running
    pids = [int(path.name.split(".")[0]) for path in ring_files(ring_dir)]
    assert sorted(pids) == sorted([server.pid, *server.workers()])
    master = by_pid(ring_dir)[server.pid]
    assert master.state == "parent"
    assert master.thresholds == thresholds
    assert [(p["generation"], p["cause"]) for p in master.gc if p["cause"] != "automatic"] == [
        (2, "prefork")
    ]


def test_requests_are_answered_after(running: Running) -> None:
    server = running.server
    for path in ("/", "/garbage?n=60000", "/import", "/collect", "/collect?generation=0"):
        for _ in range(4):
            assert server.get(path)


def test_counts_are_those_of_the_interpreter(running: Running) -> None:
    server, ring_dir, ready, _ = running
    for process in ready:
        before = process.counts()
        server.ask(process.pid, "/garbage?n=120000")
        server.ask(process.pid, "/collect?generation=1")
        server.ask(process.pid, "/collect")
        stats = server.ask(process.pid, "/stats")["stats"]
        now = by_pid(ring_dir)[process.pid]
        assert now.counts() == counted(stats)
        assert stats[0]["collections"] > before[0]["collections"]
        assert stats[2]["collections"] >= before[2]["collections"] + 1
        explicit = {p["generation"] for p in now.gc if p["cause"] == "explicit"}
        assert {1, 2} <= explicit


def test_requests_are_answered_before_and_during(
    kind: str, system_python: Interpreter, ring_dir: Path
) -> None:
    """From the moment when gunicorn listens, until long after the workers are ready."""
    with gunicorn(system_python, ring_dir, kind=kind) as server:
        errors: list[Exception] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    server.get("/")
                except Exception as error:
                    errors.append(error)
                    return

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            server.workers_in_state("ready", ring_dir, 2)
            server.process.send_signal(signal.SIGTTIN)  # one worker more, under load
            server.workers_in_state("ready", ring_dir, 3)
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        assert errors == []


def test_sigterm_ends_it_gracefully(
    kind: str, server_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Exit status 0, nothing odd said; and an unflushed file that a frozen cycle holds is
    written by the interpreter's last collection, as by stock."""
    with gunicorn(server_python, ring_dir, kind=kind, APP_UNFLUSHED=str(tmp_path)) as server:
        workers = sorted(p.pid for p in server.workers_in_state("ready", ring_dir))
        assert server.terminate() == 0
        output = server.output()
    assert "Traceback" not in output
    assert "gcpreload[" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{p}.txt" for p in workers)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["7 bytes", "7 bytes"]
    assert ps(ring_dir) == []
    states = {pid: process.state for pid, process in by_pid(ring_dir, "--all").items()}
    assert [states[pid] for pid in workers] == ["exited", "exited"]


def test_a_killed_worker_leaves_a_readable_file(
    system_python: Interpreter, ring_dir: Path
) -> None:
    with gunicorn(system_python, ring_dir) as server:
        victim, other = server.workers_in_state("ready", ring_dir)
        server.ask(victim.pid, "/garbage?n=120000")
        last = by_pid(ring_dir)[victim.pid]
        os.kill(victim.pid, signal.SIGKILL)
        wait_for("its end", lambda: victim.pid not in server.workers())
        assert other.pid in {p.pid for p in server.workers_in_state("ready", ring_dir)}
        assert victim.pid not in by_pid(ring_dir)
        dead = by_pid(ring_dir, "--all")[victim.pid]
        assert (dead.state, dead.alive) == ("exited", False)
        assert dead.frozen_objects == victim.frozen_objects
        assert dead.counts() == last.counts()
        report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
        assert victim.pid in [process["pid"] for process in report["processes"]]

        cleaned = command("clean", "--dir", ring_dir)
        assert cleaned.returncode == 0
        assert victim.pid not in by_pid(ring_dir, "--all")
        assert len(ring_files(ring_dir)) == 3, "clean took a living file, or not all dead ones"


def test_run_finds_the_library(system_python: Interpreter, ring_dir: Path) -> None:
    """`gcpreload run -- CMD` is the same as LD_PRELOAD, with settings as options."""
    with gunicorn(system_python, None, GCPRELOAD_DIR=str(ring_dir)) as plain:
        assert not ring_files(ring_dir)
    wrapped = Server([COMMAND, "run", "--", *plain.command], plain.env)
    with wrapped as server:
        assert server.workers_in_state("ready", ring_dir)


def asked(server: Server) -> dict[str, object]:
    server.get("/garbage?n=5000")
    return server.json("/state")


@pytest.mark.parametrize(
    "settings",
    [{"GCPRELOAD_MODE": "off"}, {"GCPRELOAD_DISABLE": "1"}, {"GCPRELOAD_TRIGGER": "none"}],
    ids=lambda settings: "=".join(*settings.items()),
)
def test_modes_that_do_nothing(
    settings: dict[str, str], server_python: Interpreter, ring_dir: Path
) -> None:
    with gunicorn(server_python, ring_dir, workers=1, **settings) as server:
        for _ in range(5):
            state = asked(server)
        assert state["thresholds"] == own_thresholds(server_python)
        assert state["frozen"] == own_frozen(server_python)
        assert files_below(ring_dir) == []
        assert ps(ring_dir) == []


def test_observe_only_measures(kind: str, server_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(server_python, ring_dir, kind=kind, GCPRELOAD_MODE="observe") as server:
        for process in server.workers_in_state("observing", ring_dir):
            server.ask(process.pid, "/garbage?n=20000")
            state = server.ask(process.pid, "/state")
            assert state["thresholds"] == own_thresholds(server_python)
            assert state["frozen"] == own_frozen(server_python)
            stats = server.ask(process.pid, "/stats")["stats"]
            now = by_pid(ring_dir)[process.pid]
            assert now.counts() == counted(stats)
            assert now.mode == "observe"
            assert now.frozen_objects in (None, 0, -1)
            assert {part["cause"] for part in now.gc} <= {"automatic", "explicit"}


def test_ring_off_tunes_without_a_file(system_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(system_python, ring_dir, workers=1, GCPRELOAD_RING="off") as server:
        state = asked(server)
        assert state["thresholds"][0] == 50000
        assert state["frozen"] > HEAP
        assert files_below(ring_dir) == []
        assert "gcpreload[" not in server.output()


def test_thresholds_are_a_setting(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_THRESHOLDS": "30000,keep,7"}
    with gunicorn(system_python, ring_dir, workers=1, **settings) as server:
        (process,) = server.workers_in_state("ready", ring_dir, 1)
        assert process.thresholds == [30000, 10, 7]
        assert server.json("/state")["thresholds"] == [30000, 10, 7]


def test_identity(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"OTEL_SERVICE_NAME": "shop"}
    with gunicorn(system_python, ring_dir, workers=1, **settings) as server:
        (process,) = server.workers_in_state("ready", ring_dir, 1)
        assert process.python == ".".join(map(str, system_python.version))
        path = Path(process.file)
        assert path.stat().st_mode & 0o7777 == 0o400, "a mistaken truncate must be refused"
        assert path.parent.stat().st_mode & 0o7777 == 0o700
        assert path.parent.name == f"gcpreload-{os.geteuid()}"
        assert b"shop\0" in path.read_bytes()
