"""Which applications and servers scripts/bench latency compares, and what ours do."""

from __future__ import annotations

import json
import sys

import bench_common
import bench_latency
import latency_apps
import pytest
from lib.run import environment, run
from venvs import Interpreter


@pytest.mark.parametrize(
    ("apps", "server", "names"),
    [
        ("django-sync,django-gevent", None, ["django-sync", "django-gevent"]),
        ("fastapi,flask-gthread", None, ["fastapi-uvicorn", "flask-gthread"]),
        ("django,flask,sessions,lru", None, "django-sync flask-gthread sessions-sync lru-sync"),
        ("lru-1m,lru-3m-gevent", None, ["lru-1m-sync", "lru-3m-gevent"]),
        ("sessions,django", "gthread,uvicorn", "sessions-gthread sessions-uvicorn django-gthread"),
        ("lru,lru-sync", "sync", ["lru-sync"]),
    ],
)
def test_an_app_and_a_server_are_a_row(
    apps: str, server: str | None, names: str | list[str]
) -> None:
    expected = names.split() if isinstance(names, str) else names
    assert [app.name for app in latency_apps.chosen(apps, server, "python3")] == expected


@pytest.mark.parametrize(
    ("apps", "server", "says"),
    [
        ("lru-2m", None, "'lru-2m' is none of"),
        ("fastapi-sync", None, "'fastapi-sync' is none of"),
        ("lru", "async", "'async' is none of sync"),
        ("fastapi,django-sync", "gthread", "none is left"),
    ],
)
def test_what_there_is_not_is_refused(apps: str, server: str | None, says: str) -> None:
    with pytest.raises(bench_common.Failed, match=says):
        latency_apps.chosen(apps, server, "python3")


def test_the_command_and_the_size_of_a_cache() -> None:
    (app,) = latency_apps.chosen("lru-3m", "uvicorn", "python3")
    assert app.command[:3] == ["python3", "-m", "uvicorn"]
    assert app.command[-1] == "lru_app:asgi"
    assert app.environment == {"LATENCY_ENTRIES": "3000000"}


def test_a_short_name_for_gc_disable() -> None:
    assert [one.name for one in latency_apps.chosen_modes("stock,nogc")] == [
        "stock",
        "gc.disable()",
    ]


def test_the_defaults_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench"])
    options = bench_latency.parse()
    apps = bench_latency.settle(options, "python3")
    assert {"sessions-sync", "lru-sync", "flask-gthread"} < {app.name for app in apps}
    assert options.loads == [35, 70, 85, 95, 100]
    assert "concurrent" in [mode.name for mode in options.modes]


def test_a_server_of_somebody_elses_command_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--app", "gunicorn a:b", "--server", "sync"])
    with pytest.raises(bench_common.Failed, match="--server"):
        bench_latency.settle(bench_latency.parse(), "python3")


# ---- what the applications do ----


COUNT = """
import gc, json
gc.disable()
import {module} as app
gc.collect()
before = len(gc.get_objects())
for _ in range({requests}):
    app.work()
one = len(gc.get_objects()) - before
after = app.entry.cache_info() if hasattr(app, "entry") else None
print(json.dumps([one, gc.collect(), after]))
"""


def counted(python: Interpreter, module: str, requests: int) -> list[int]:
    program = COUNT.format(module=module, requests=requests)
    env = environment(
        LATENCY_OBJECTS="0", LATENCY_ENTRIES="1000", PYTHONPATH=str(latency_apps.SOURCES)
    )
    done = run([python.path, "-B", "-c", program], env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sessions_leave_garbage_in_cycles_only(system_python: Interpreter) -> None:
    made, freed, _ = counted(system_python, "sessions_app", 1)
    assert 5000 < made < 5400
    assert freed == 0
    made, freed, _ = counted(system_python, "sessions_app", 103)
    assert 103 * 5000 < made < 103 * 5400
    assert 3 * 5000 < freed < 3 * 5400


def test_the_cache_is_full_and_stays_so(system_python: Interpreter) -> None:
    """Each request replaces 150 entries, and 20 errors are left to the collector."""
    _, freed, (hits, misses, most, size) = counted(system_python, "lru_app", 10)
    assert (misses, most, size) == (1000 + 10 * 150, 1000, 1000)
    assert hits == 10 * (1500 + 20)
    assert freed >= 10 * 20
