"""A mode that is set for a service, or for all, holds until it is taken back: in workers that come
later, after a crash, a reload and a restart."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from lib.rings import by_pid, command, wait_for_state
from lib.run import Completed, environment, wait_for
from lib.server import HEAP, Server
from lib.servers import UvicornServer, asking, own_thresholds
from venvs import Interpreter, venv

TUNED = 50000
WAIT = "90"  # for an answer; reached only by a test that fails


def serve(
    python: Interpreter, ring_dir: Path, *options: str, workers: int = 2, **settings: str
) -> Server:
    words = [venv("gunicorn", python), "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", str(workers)]
    words += ["-t", "0", "--graceful-timeout", "20", *options, "wsgi:app"]
    return Server(words, environment(ring_dir, **settings))


def change(ring_dir: Path, *words: str) -> Completed[bytes]:
    """It says itself that all who serve have it."""
    done = command("set", "--dir", ring_dir, "--wait", WAIT, *words)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done


def states_of(server: Server, requests: int) -> dict[int, dict[str, Any]]:
    """What each worker that answers says of its collector, at its last request."""
    answers = (server.json("/state") for _ in range(requests))
    return {answer["pid"]: answer for answer in answers}


def are_off(states: Iterable[dict[str, Any]], python: Interpreter) -> bool:
    own = own_thresholds(python)
    return all(state["thresholds"] == own and state["frozen"] < HEAP for state in states)


def are_tuned(states: Iterable[dict[str, Any]]) -> bool:
    return all(state["thresholds"][0] == TUNED and state["frozen"] > HEAP for state in states)


def new_workers(server: Server, old: Iterable[int], number: int = 2) -> set[int]:
    """Once there are as many as before, and none of the old ones."""

    def look() -> set[int] | None:
        now = set(server.workers())
        return now if len(now) == number and not now & set(old) else None

    return wait_for("new workers", look)


def test_recycled_workers_stay_off(server_python: Interpreter, ring_dir: Path) -> None:
    with serve(server_python, ring_dir, "--max-requests", "50") as server:
        before = {p.pid for p in server.workers_in_state("ready", ring_dir)}
        with asking(server):
            done = change(ring_dir, "--all", "mode=off")
        assert b"processes that serve have it" in done.stdout
        states = states_of(server, 480)
        assert len(set(states) - before) > 4
        assert are_off(states.values(), server_python)
        shown = by_pid(ring_dir)
        assert {shown[pid].state for pid in server.workers() if pid in shown} == {"off"}
        with asking(server):
            change(ring_dir, "--all", "mode=default")
        seen = set(states_of(server, 10))
        later = states_of(server, 240)
        assert len(set(later) - seen) > 2
        # The last request of a worker is one after it has become ready.
        assert are_tuned(later.values())


def test_a_crashed_workers_successor_is_off(system_python: Interpreter, ring_dir: Path) -> None:
    with serve(system_python, ring_dir) as server:
        old = server.workers_in_state("ready", ring_dir)
        change(ring_dir, "--all", "mode=off")
        for process in old:
            os.kill(process.pid, signal.SIGKILL)
        new_workers(server, [process.pid for process in old])
        assert are_off(states_of(server, 40).values(), system_python)
        server.workers_in_state("off", ring_dir)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_a_parent_is_no_failure_and_hands_on(
    preload: list[str], system_python: Interpreter, ring_dir: Path
) -> None:
    """It never waits on its socket; told by its pid, what it forks later is as it was told."""
    with serve(system_python, ring_dir, *preload) as server:
        old = [p.pid for p in server.workers_in_state("ready", ring_dir)]
        assert by_pid(ring_dir)[server.pid].state == "parent"
        done = change(ring_dir, str(server.pid), "mode=off")
        assert f"{server.pid}: mode=off: parent of workers" in done.stdout.decode()
        assert are_tuned(states_of(server, 20).values()), "they were not told"
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        new_workers(server, old)
        assert are_off(states_of(server, 40).values(), system_python)
        server.workers_in_state("off", ring_dir)
        assert by_pid(ring_dir)[server.pid].state == "off"
        change(ring_dir, str(server.pid), "mode=default")
        done = change(ring_dir, "--all", "mode=default")
        assert b"2 of 2 processes that serve have it; 1 parent apart" in done.stdout
        server.workers_in_state("ready", ring_dir)


def test_the_settings_file_is_read_at_a_reload(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    conf = tmp_path / "gcpreload.conf"
    conf.write_text("mode = freeze\n")
    with serve(system_python, ring_dir, GCPRELOAD_CONF=str(conf)) as server:
        old = [p.pid for p in server.workers_in_state("ready", ring_dir)]
        conf.write_text("[*gunicorn*]\nmode = off\n")
        server.process.send_signal(signal.SIGHUP)
        off = new_workers(server, old)
        assert are_off(states_of(server, 40).values(), system_python)
        assert {p.reason for p in server.workers_in_state("off", ring_dir)} == {
            "mode off in the settings file"
        }
        conf.unlink()  # as in a chroot: nothing changes
        server.process.send_signal(signal.SIGHUP)
        again = new_workers(server, off)
        assert are_off(states_of(server, 40).values(), system_python)
        conf.write_text("")
        server.process.send_signal(signal.SIGHUP)
        new_workers(server, again)
        workers = server.workers_in_state("ready", ring_dir)
        assert {process.mode for process in workers} == {"concurrent"}, (
            "no word of it: the default"
        )


def test_a_file_that_cannot_be_used_is_no_reason_to_tune(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    conf = tmp_path / "gcpreload.conf"
    conf.write_text("mode = freeze\n")
    with serve(system_python, ring_dir, GCPRELOAD_CONF=str(conf)) as server:
        old = [p.pid for p in server.workers_in_state("ready", ring_dir)]
        conf.write_text("mode = of\n")
        server.process.send_signal(signal.SIGHUP)
        bad = new_workers(server, old)
        workers = server.workers_in_state("observing", ring_dir)
        assert {p.reason.partition(":")[0] for p in workers} == {"unusable settings"}
        conf.write_text("mode = freeze\n")
        server.process.send_signal(signal.SIGHUP)
        new_workers(server, bad)
        server.workers_in_state("ready", ring_dir)
    settings = {"GCPRELOAD_CONF": str(conf), "GCPRELOAD_ONLY": "[a"}
    with serve(system_python, ring_dir, **settings) as server:
        old = [p.pid for p in server.workers_in_state("observing", ring_dir)]
        server.process.send_signal(signal.SIGHUP)
        new_workers(server, old)
        assert {p.mode for p in server.workers_in_state("observing", ring_dir)} == {"observe"}


def test_the_environment_wins_over_the_file_and_a_command_over_both(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    conf = tmp_path / "gcpreload.conf"
    conf.write_text("mode = observe\n")
    settings = {"GCPRELOAD_CONF": str(conf), "GCPRELOAD_MODE": "freeze"}
    with serve(system_python, ring_dir, **settings) as server:
        old = [p.pid for p in server.workers_in_state("ready", ring_dir)]
        change(ring_dir, "--all", "mode=observe")
        server.process.send_signal(signal.SIGHUP)
        new_workers(server, old)
        workers = server.workers_in_state("observing", ring_dir)
        assert {(p.mode, p.reason) for p in workers} == {("observe", "by gcpreload set")}


def test_a_service_stays_off_over_restarts(server_python: Interpreter, ring_dir: Path) -> None:
    """Also told before it has ever run; the others go on as they were."""
    shop, other = {"GCPRELOAD_SERVICE": "shop/1 %"}, {"GCPRELOAD_SERVICE": "other"}
    done = change(ring_dir, "--service", "shop/1 %", "mode=off")
    assert b"no process runs now" in done.stdout
    for _ in range(2):
        with (
            serve(server_python, ring_dir, **shop) as one,
            serve(server_python, ring_dir, workers=1, **other) as two,
        ):
            one.workers_in_state("off", ring_dir)
            two.workers_in_state("ready", ring_dir, 1)
            assert are_off(states_of(one, 20).values(), server_python)
            assert are_tuned(states_of(two, 3).values())
            assert one.terminate() == two.terminate() == 0
    with serve(server_python, ring_dir, **shop) as one:
        one.workers_in_state("off", ring_dir)
        change(ring_dir, "--service", "shop/1 %", "mode=default")
        one.workers_in_state("ready", ring_dir)
        assert are_tuned(states_of(one, 20).values())


def test_of_service_and_all_the_newest_counts(system_python: Interpreter, ring_dir: Path) -> None:
    with serve(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as server:
        server.workers_in_state("ready", ring_dir)
        for words, state in (
            (["--service", "shop", "mode=observe"], "observing"),
            (["--all", "mode=off"], "off"),
            (["--all", "mode=default"], "observing"),
            (["--all", "mode=off"], "off"),
            (["--service", "shop", "mode=freeze"], "ready"),
            (["--service", "shop", "mode=default"], "off"),
            (["--all", "mode=default"], "ready"),
        ):
            change(ring_dir, *words)
            server.workers_in_state(state, ring_dir)


def test_workers_that_are_spawned(server_python: Interpreter, ring_dir: Path) -> None:
    """uvicorn's are not forked: they inherit nothing but the environment."""
    words = [venv("asgi", server_python), "-m", "uvicorn", "--port", "0", "--no-access-log"]
    words += ["--workers", "2", "asgi:app"]
    with UvicornServer(words, environment(ring_dir)) as server:
        old = {p.pid for p in wait_for_state(ring_dir, "ready", 2)}
        server.adopt(*old)
        change(ring_dir, "--all", "mode=off")
        assert {p.pid for p in wait_for_state(ring_dir, "off", 2)} == old
        change(ring_dir, "--all", "mode=default")
        assert {p.pid for p in wait_for_state(ring_dir, "ready", 2)} == old


def test_new_ones_begin_with_it(system_python: Interpreter, ring_dir: Path) -> None:
    change(ring_dir, "--all", "mode=off")
    words = [venv("asgi", system_python), "-m", "uvicorn", "--port", "0", "--no-access-log"]
    words += ["--workers", "2", "asgi:app"]
    with UvicornServer(words, environment(ring_dir)) as server:
        server.adopt(*(p.pid for p in wait_for_state(ring_dir, "off", 2)))
        assert not [p for p in by_pid(ring_dir).values() if p.state == "ready"]
