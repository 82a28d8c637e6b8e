"""A service that nobody has named has a name all the same, and is never set against another."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import Puppet
from lib.rings import Process, by_pid, command, wait_for_state
from lib.run import environment
from lib.server import gunicorn
from lib.servers import UvicornServer
from venvs import Interpreter, venv

ARMED = ("one = listen()", "arm(one)")
DERIVED = {"unit", "pod", "container", "command"}


def names(processes: list[Process]) -> set[tuple[str, str]]:
    return {(p.service["name"], p.service["from"]) for p in processes}


def totals(ring_dir: Path) -> list[tuple[str, int]]:
    report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
    return [(total["service"], total["processes"]) for total in report["totals"]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"GCPRELOAD_SERVICE": "shop"}, ("shop", "setting")),
        ({"OTEL_SERVICE_NAME": "till"}, ("till", "opentelemetry")),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=till"}, ("till", "opentelemetry")),
        ({"OTEL_SERVICE_NAME": "till", "GCPRELOAD_SERVICE": "shop"}, ("shop", "setting")),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_where_it_comes_from(
    settings: dict[str, str],
    expected: tuple[str, str] | None,
    system_python: Interpreter,
    ring_dir: Path,
) -> None:
    with Puppet(system_python, ring_dir, **settings) as puppet:
        puppet.do(*ARMED)
        (shown,) = names([puppet.wait_for("ready")])
    if expected:
        assert shown == expected
    else:
        assert shown[0]
        assert shown[1] in DERIVED
        if "KUBERNETES_SERVICE_HOST" in settings:
            assert shown[1] in {"pod", "unit"}


def test_parent_workers_and_restarts_share_it(server_python: Interpreter, ring_dir: Path) -> None:
    seen = set()
    for _ in range(2):
        with gunicorn(server_python, ring_dir) as server:
            server.workers_in_state("ready", ring_dir)
            shown = by_pid(ring_dir)
            seen |= names([shown[pid] for pid in [server.pid, *server.workers()]])
    assert len(seen) == 1
    ((name, whence),) = seen
    assert whence in DERIVED
    if whence == "command":
        assert name == "gunicorn wsgi:app"
    assert totals(ring_dir) == [(name, 4)]


def test_workers_that_are_spawned(system_python: Interpreter, ring_dir: Path) -> None:
    """Their own command line says nothing: they are what their parent is."""
    words = [venv("asgi", system_python), "-m", "uvicorn", "--port", "0", "--no-access-log"]
    words += ["--workers", "2", "asgi:app"]
    with UvicornServer(words, environment(ring_dir)) as server:
        ready = wait_for_state(ring_dir, "ready", 2)
        server.adopt(*(p.pid for p in ready))
        ((name, whence),) = names(ready)
        if whence == "command":
            assert name == "uvicorn asgi:app"
        assert totals(ring_dir) == [(name, 2)]


def test_children_of_one_parent_are_not_one_service(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Under systemd every server is a child of process 1."""
    other = Path(shutil.copy(APPS / "puppet.py", tmp_path / "other.py"))
    program = [system_python.path, other]
    with ExitStack() as stack:
        for words in (None, None, program):
            puppet = stack.enter_context(Puppet(system_python, ring_dir, program=words))
            puppet.do(*ARMED)
            puppet.wait_for("ready")
        assert [n for _, n in totals(ring_dir)] == [2]


def test_titles_over_the_arguments_change_nothing(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """Servers write there what each worker does."""
    with ExitStack() as stack:
        for letter in "xy":
            puppet = stack.enter_context(Puppet(system_python, ring_dir))
            puppet.do(
                "import ctypes",
                "stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()",
                "begin, end = map(int, stat[45:47])",
                f"ctypes.memset(begin, ord('{letter}'), end - begin - 1)",
                *ARMED,
            )
            assert puppet.wait_for("ready").command.startswith(letter * 9)
        assert [n for _, n in totals(ring_dir)] == [2]


def test_reports_of_different_services_are_not_compared(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    files = {}
    for name in ("shop", "till"):
        with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=name) as puppet:
            puppet.do(*ARMED)
            puppet.wait_for("ready")
            files[name] = tmp_path / name
            report = command("report", "--json", "--dir", ring_dir, str(puppet.pid))
            files[name].write_bytes(report.stdout)
    done = command("report", "--compare", files["shop"], files["till"])
    assert b"A and B are not compared: the service till is not in both." in done.stdout
    # Nor where one of them has another besides.
    both = tmp_path / "both"
    both.write_bytes(command("report", "--json", "--dir", ring_dir).stdout)
    done = command("report", "--json", "--compare", both, files["shop"])
    assert json.loads(done.stdout)["not_compared"] == "the service till is not in both"
    done = command("report", "--json", "--compare", files["shop"], files["shop"])
    assert "service" not in json.loads(done.stdout)["not_compared"]
