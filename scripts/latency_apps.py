"""What the latency benchmark compares: modes of the library, of applications on servers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bench_common as common
from bench_common import ROOT, Failed

SOURCES = ROOT / "tests" / "bench" / "latency"


@dataclass(frozen=True)
class Mode:
    """The library's mode, and what the application itself does."""

    name: str
    mode: str
    state: str
    application: str = ""  # LATENCY_GC of tests/bench/latency/common.py

    @property
    def never_collects(self) -> bool:
        return self.application == "disable"


# The library is there in every mode, as the same witness of every collection; "observe" costs 0.1
# microseconds a collection.
MODES = [
    Mode("stock", "observe", "observing"),
    Mode("stock again", "observe", "observing"),
    Mode("recipe", "observe", "observing", "recipe"),
    Mode("freeze", "freeze", "ready"),
    Mode("idle", "idle", "ready"),
    Mode("concurrent", "concurrent", "ready"),
    Mode("gc.disable()", "observe", "observing", "disable"),
]
MODES_BY_NAME = {**{mode.name: mode for mode in MODES}, "nogc": MODES[-1]}


@dataclass(frozen=True)
class App:
    """How a server is started: words of a command, with {port}."""

    name: str
    command: list[str]
    cwd: Path = SOURCES
    path: str = "/?n={n}"
    environment: Mapping[str, str] = field(default_factory=dict)


# ---- ours ----


def _gunicorn(kind: str, *options: str) -> list[str]:
    words = ["-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "1", "-k", kind, "-t", "0"]
    return [*words, *options, "{module}:app"]


_UVICORN = ["-m", "uvicorn", "--port", "{port}", "--no-access-log", "--loop", "asyncio"]
SERVERS = {
    "sync": _gunicorn("sync"),
    "gthread": _gunicorn("gthread", "--threads", "4"),
    "gevent": _gunicorn("gevent"),
    "uvicorn": [*_UVICORN, "{module}:asgi"],
}
WSGI = ("sync", "gthread", "gevent")


@dataclass(frozen=True)
class Program:
    """An application of tests/bench/latency, and its servers; the first is its usual one."""

    module: str
    servers: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def on(self, server: str, name: str, python: str) -> App:
        words = [word.replace("{module}", self.module) for word in SERVERS[server]]
        return App(f"{name}-{server}", [python, *words], environment=self.environment)


def _lru(entries: int) -> Program:
    return Program("lru_app", tuple(SERVERS), {"LATENCY_ENTRIES": str(entries)})


PROGRAMS = {
    "django": Program("django_app", WSGI),
    "fastapi": Program("fastapi_app", ("uvicorn",)),
    "flask": Program("flask_app", ("gthread", "sync", "gevent")),
    "sessions": Program("sessions_app", tuple(SERVERS)),
    "lru": _lru(200_000),
    "lru-1m": _lru(1_000_000),
    "lru-3m": _lru(3_000_000),
}


def _split(name: str) -> tuple[str, str]:
    """The program, and the server where one is named."""
    program, _, server = name.rpartition("-")
    if name not in PROGRAMS and program in PROGRAMS and server in PROGRAMS[program].servers:
        return program, server
    if name in PROGRAMS:
        return name, ""
    known = ", ".join(PROGRAMS)
    raise Failed(f"--apps: {name!r} is none of {known}, and none of these with -SERVER")


def _servers_of(name: str, own: str, wanted: Sequence[str]) -> Sequence[str]:
    """Those on which it is to run: the one in its name, else those of --server, else its first."""
    can = [own] if own else PROGRAMS[name].servers
    if not wanted:
        return can[:1]
    found = [server for server in wanted if server in can]
    for server in wanted:
        if server not in found:
            common.say(f"{name} is not run on {server}: it has {', '.join(can)}")
    return found


def chosen(names: str, servers: str | None, python: str) -> list[App]:
    """Of --apps and --server."""
    wanted = [one.strip() for one in servers.split(",")] if servers else []
    for server in wanted:
        if server not in SERVERS:
            raise Failed(f"--server: {server!r} is none of {', '.join(SERVERS)}")
    found = {}
    for text in names.split(","):
        name, own = _split(text.strip())
        for server in _servers_of(name, own, wanted):
            app = PROGRAMS[name].on(server, name, python)
            found[app.name] = app
    if not found:
        raise Failed("--apps and --server: none is left")
    return list(found.values())


def chosen_modes(names: str) -> list[Mode]:
    found = []
    for name in names.split(","):
        if name.strip() not in MODES_BY_NAME:
            raise Failed(f"--modes: {name.strip()!r} is none of {', '.join(MODES_BY_NAME)}")
        found.append(MODES_BY_NAME[name.strip()])
    return found


# ---- somebody's own ----


def own_app(command: str, path: str) -> App:
    """Told on which port to listen, where it does not say {port} itself."""
    words = shlex.split(command)
    if not words:
        raise Failed("--app: no command")
    if "{port}" not in command:
        name = next((w for w in words if "gunicorn" in w or "uvicorn" in w), "")
        if "gunicorn" in name:
            words += ["-b", "127.0.0.1:{port}"]
        elif name:
            words += ["--port", "{port}"]
        else:
            raise Failed("--app: say {port} where the command takes its port")
    return App("app", words, Path.cwd(), path)
