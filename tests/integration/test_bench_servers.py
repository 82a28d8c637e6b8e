"""The latency benchmark on real servers; and that a mode that is not in force has no row."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import bench_latency
import latency_apps
import latency_server
import load
import pytest
from bench_common import Failed
from latency_apps import App, Mode
from latency_file import Run
from latency_server import LeftOut
from lib.run import wait_for
from venvs import Interpreter, venv

MODES = latency_apps.MODES_BY_NAME
REFUSED = Mode("none such", "none-such", "ready")
SMALL = {"LATENCY_ENTRIES": "1000"}


def small(python: Interpreter, name: str, server: str, **more: str) -> App:
    program = venv("asgi" if server == "uvicorn" else "gunicorn", python)
    (app,) = latency_apps.chosen(name, server, program)
    return replace(app, environment={**app.environment, **SMALL, **more})


def options(*modes: Mode) -> argparse.Namespace:
    return argparse.Namespace(
        modes=list(modes), loads=[70], rounds=2, seconds=0.5, rate=100.0, objects=0,
        cpus=None, json=None,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bench_latency, "WARM_UP", 0.1)
    allowed = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("name", "server"),
    [("sessions", "sync"), ("sessions", "uvicorn"), ("lru", "gthread"), ("lru", "gevent")],
)
def test_they_serve(name: str, server: str, system_python: Interpreter) -> None:
    app = small(system_python, name, server)
    with latency_server.serving(app, MODES["idle"], 0, None) as running:
        result = load.OpenLoop(running.port, 50.0, app.path).run(0.4, lambda left: None)
        assert (len(result.latencies), result.failures) == (20, 0)
        running.check_still([])
        assert running.cpu() > 0
        assert running.memory()[1] > 1 << 20
        wait_for("a sample", lambda: running.together_between(0, float("inf")) > 1 << 20)


# ---- a mode that is not in force ----


def measured(app: App, *modes: Mode) -> Run:
    run = Run("made up", {})
    asked = options(*modes)
    bench_latency.measure(app, asked, run, bench_latency.Progress(len(modes) * asked.rounds))
    return run


def test_a_mode_that_the_library_refuses_has_no_row(
    system_python: Interpreter, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library uses another instead, and says so: these numbers would be that one's."""
    stock = [MODES["stock"], MODES["stock again"]]
    run = measured(small(system_python, "lru", "sync"), *stock, REFUSED)
    ((_, table),) = run.tables.items()
    assert {name: len(intervals) for name, intervals in table.items()} == {
        "stock": 2,
        "stock again": 2,
    }
    (why,) = run.left_out
    assert "lru-sync, none such: not in force: the process has mode" in why
    assert "GCPRELOAD_MODE=none-such" in why
    assert f"{why}: it gets no row" in capsys.readouterr().err


def test_without_the_first_there_is_nothing_to_compare(system_python: Interpreter) -> None:
    again = replace(REFUSED, name="none such again")
    with pytest.raises(Failed, match="lru-sync, none such( again)?: not in force"):
        measured(small(system_python, "lru", "sync"), REFUSED, again)


def test_a_row_is_taken_back_when_the_mode_ends(
    system_python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second round only: no row of the first remains."""
    stock, idle, seen = [MODES["stock"], MODES["stock again"]], MODES["idle"], []
    check = latency_server.Server.check_still

    def in_turns(server: latency_server.Server, collections: list[dict[str, object]]) -> None:
        check(server, collections)
        seen.append(server.mode.name)
        if server.mode.name == "idle" and seen.count("idle") == 2:
            server.mode = replace(server.mode, mode="freeze")
            check(server, collections)

    monkeypatch.setattr(latency_server.Server, "check_still", in_turns)
    run = measured(small(system_python, "lru", "sync"), *stock, idle)
    assert seen.count("idle") == 2
    assert [list(table) for table in run.tables.values()] == [["stock", "stock again"]]
    assert len(run.left_out) == 1


def test_an_application_that_collects_all_the_same(system_python: Interpreter) -> None:
    app = small(system_python, "sessions", "sync", LATENCY_GC="")
    with pytest.raises(LeftOut, match="interpreter collects"):
        bench_latency.one_server(app, MODES["nogc"], 100.0, options())


def test_a_state_that_did_not_stay(system_python: Interpreter) -> None:
    app = small(system_python, "lru", "sync")

    def look() -> None:
        with contextlib.suppress(LeftOut):  # it takes a moment to end
            running.check_still([])

    with latency_server.serving(app, MODES["freeze"], 0, None) as running:
        running.mode = replace(running.mode, state="observing")
        with pytest.raises(LeftOut, match="state ready instead of observing"):
            running.check_still([])
        os.kill(running.worker, signal.SIGKILL)
        with pytest.raises(Failed, match="ended"):
            wait_for("the end", look)


def test_a_machine_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    bench_latency.enough_memory(1)
    monkeypatch.setattr(bench_latency, "LEAST_MEMORY", 2.0)
    with pytest.raises(LeftOut, match="MB left"):
        bench_latency.enough_memory(1)


def test_what_never_collects_begins_anew_under_each_load(
    system_python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: dict[str, set[int]] = {}
    interval = bench_latency.interval

    def noted(server: latency_server.Server, rate: float, seconds: float) -> object:
        workers.setdefault(server.mode.name, set()).add(server.worker)
        return interval(server, rate, seconds)

    monkeypatch.setattr(bench_latency, "interval", noted)
    asked = options()
    asked.loads = [35, 70]
    for mode in (MODES["stock"], MODES["nogc"]):
        found = bench_latency.one_server(small(system_python, "lru", "sync"), mode, 100.0, asked)
        assert list(found) == [35, 70]
    assert {name: len(pids) for name, pids in workers.items()} == {"stock": 1, "gc.disable()": 2}
