"""GCPRELOAD_MODE=idle: collections while the server waits, none in requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.rings import Process, by_pid, command, counted, ps, wait_for_state
from lib.run import environment, run, wait_for
from lib.server import Server, gunicorn
from lib.servers import KINDS, Kind, own_thresholds
from venvs import Interpreter, venv


def start(kind: Kind, python: Interpreter, ring_dir: Path) -> Server:
    server = kind.start(python, ring_dir)
    server.env.update(environment(ring_dir, GCPRELOAD_MODE="idle"))
    return server


def count(process: Process, *causes: str) -> int:
    return sum(part["collections"] for part in process.gc if part["cause"] in causes)


def ask_until_idle(server: Server, ring_dir: Path, number: int) -> list[Process]:
    """Makes garbage, a request at a time, until so many have collected while they waited."""

    def look() -> list[Process] | None:
        server.get("/cycles?n=5500")
        found = [p for p in ps(ring_dir) if p.state == "ready" and count(p, "idle") >= 3]
        return found if len(found) >= number else None

    return wait_for(f"collections while {number} servers wait", look)


SERVERS = [kind for kind in KINDS if "--preload" not in kind.name and kind.name != "http.server"]


@pytest.mark.parametrize("kind", SERVERS, ids=str)
def test_collects_while_it_waits(kind: Kind, server_python: Interpreter, ring_dir: Path) -> None:
    why_not = kind.possible(server_python)
    if why_not:
        pytest.skip(why_not)
    with start(kind, server_python, ring_dir) as server:
        for process in ask_until_idle(server, ring_dir, 1):
            assert process.mode == "idle"
            # How much larger depends on what an object costs on this machine, now.
            assert process.thresholds[0] > own_thresholds(server_python)[0]
            # Its full ones would come in requests: put off, and not for ever.
            assert own_thresholds(server_python)[2] < process.thresholds[2] < 200
            assert process.frozen_objects > 20000
            assert process.idle_seconds > 0
        assert "hello" in server.get("/")


def test_nothing_in_requests_and_exact_counts(server_python: Interpreter, ring_dir: Path) -> None:
    # No automatic one comes between two chances, however soon the next request does.
    settings = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_THRESHOLDS": "500000,keep,keep"}
    with gunicorn(server_python, ring_dir, workers=1, **settings) as server:
        (process,) = ask_until_idle(server, ring_dir, 1)
        assert process.in_request_seconds == process.in_request_max_seconds == 0
        stats = server.ask(process.pid, "/stats")["stats"]

        def look() -> bool:
            (now,) = (p for p in ps(ring_dir) if p.pid == process.pid)
            return now.counts() == counted(stats)

        wait_for("counts as in gc.get_stats()", look)


def test_report_tells_where(server_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(server_python, ring_dir, workers=1, GCPRELOAD_MODE="idle") as server:
        (process,) = ask_until_idle(server, ring_dir, 1)
        text = command("report", "--dir", ring_dir, str(process.pid)).stdout.decode()
        assert "while waiting: total" in text


def test_app_that_disables_gc_is_left_alone(server_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(server_python, ring_dir, workers=1, GCPRELOAD_MODE="idle") as server:
        (process,) = ask_until_idle(server, ring_dir, 1)
        server.ask(process.pid, "/change?how=disable")

        def look() -> Process | None:
            server.get("/cycles?n=5500")
            (now,) = (p for p in ps(ring_dir) if p.pid == process.pid)
            return now if now.state == "standing-back" else None

        stood = wait_for("it stands back", look)
        before = count(stood, "idle")
        for _ in range(5):
            server.get("/cycles?n=5500")
        (now,) = (p for p in ps(ring_dir) if p.pid == process.pid)
        assert count(now, "idle") == before
        assert "disabled gc" in now.reason


def test_on_and_off(server_python: Interpreter, ring_dir: Path) -> None:
    own = own_thresholds(server_python)
    with gunicorn(server_python, ring_dir, workers=1) as server:
        (process,) = wait_for_state(ring_dir, "ready")
        pid = str(process.pid)
        assert command("set", "--dir", ring_dir, pid, "mode=idle").returncode == 0
        (process,) = ask_until_idle(server, ring_dir, 1)
        assert process.mode == "idle"
        assert command("set", "--dir", ring_dir, pid, "mode=freeze").returncode == 0
        wait_for("mode freeze", lambda: by_pid(ring_dir)[process.pid].mode == "freeze")
        assert server.ask(process.pid, "/state")["thresholds"] == [50000, *own[1:]]
        assert command("set", "--dir", ring_dir, pid, "mode=off").returncode == 0
        (process,) = wait_for_state(ring_dir, "off")
        assert process.thresholds == own
        assert server.ask(process.pid, "/state")["thresholds"] == own


def test_a_third_threshold_of_the_user_stays(server_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_THRESHOLDS": "50000,keep,7"}
    with gunicorn(server_python, ring_dir, workers=1, **settings) as server:
        (process,) = ask_until_idle(server, ring_dir, 1)
        assert server.ask(process.pid, "/state")["thresholds"][2] == process.thresholds[2] == 7


def test_what_takes_longer_than_the_budget_waits(
    server_python: Interpreter, ring_dir: Path
) -> None:
    """Once it is measured what an object costs."""
    # threshold0 does not follow the costs. The second half of the garbage waits for a chance when
    # the first has been measured, and takes longer than 1 ms wherever an object costs 12 ns.
    settings = {"GCPRELOAD_BUDGET_MS": "1", "GCPRELOAD_THRESHOLDS": "100000,keep,keep"}
    with gunicorn(server_python, ring_dir, workers=1, GCPRELOAD_MODE="idle", **settings) as server:
        (process,) = wait_for_state(ring_dir, "ready")
        before = count(process, "automatic")
        server.get("/cycles?n=190000")

        def look() -> Process | None:
            server.get("/")
            (now,) = (p for p in ps(ring_dir) if p.pid == process.pid)
            return now if now.refused_chances["budget"] else None

        refused = wait_for("a chance refused", look)
        assert count(refused, "automatic") == before + 1
        assert count(refused, "idle") == 0


# ---- what is a chance, and what happens after it ----


def test_which_waits_are_chances(python: Interpreter, ring_dir: Path) -> None:
    """Only those of the server itself that would block, with nothing to do and nobody at work."""
    env = environment(ring_dir, GCPRELOAD_MODE="idle")
    done = run([python.path, APPS / "idle_waits.py"], env)
    assert (done.stderr, done.returncode) == (b"", 0)
    assert json.loads(done.stdout) == {
        "upstream": 0,
        "driver": 0,
        "sleep": 0,
        "look": 0,
        "work": 0,
        "busy": 0,
        "server": True,
        "signal": True,
        "callback": True,
    }


@pytest.mark.parametrize("kind", ["select", "poll", "epoll"])
def test_a_wait_settles_while_others_work(python: Interpreter, kind: str, ring_dir: Path) -> None:
    """Nobody wakes the thread that waits when the others are done."""
    # No automatic collection comes before it, however slow the machine is.
    settings = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_THRESHOLDS": "500000,keep,keep"}
    env = environment(ring_dir, **settings)
    done = run([python.path, APPS / "idle_waits.py", kind], env)
    assert (done.stderr, done.returncode) == (b"", 0)
    assert json.loads(done.stdout) == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_finalizer_may_give_the_loop_work(
    server_python: Interpreter, loop: str, ring_dir: Path
) -> None:
    """After the collection the wait returns, or nobody ever wakes the loop."""
    program = venv("uvloop", server_python) if loop == "uvloop" else server_python.path
    env = environment(ring_dir, GCPRELOAD_MODE="idle")
    done = run([program, "-W", "ignore", APPS / "finalizer_loop.py", loop, "idle"], env)
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)
