"""The servers of the latency benchmark: an application in one mode, started, pinned, measured."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import bench_common as common
from bench_common import ROOT, Failed
from kept import Kept

COMMAND = ROOT / "build" / "gcpreload"
LIBRARY = ROOT / "build" / "libgcpreload.so"
SOURCES = ROOT / "tests" / "bench" / "latency"
DEADLINE = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Mode:
    """The library's mode, and what the application itself does."""

    name: str
    mode: str
    state: str
    application: str = ""  # LATENCY_GC of tests/bench/latency/common.py


# The library is there in every mode, as the same witness of every collection; "observe" costs 0.1
# microseconds a collection.
MODES = [
    Mode("stock", "observe", "observing"),
    Mode("stock again", "observe", "observing"),
    Mode("recipe", "observe", "observing", "recipe"),
    Mode("freeze", "freeze", "ready"),
    Mode("idle", "idle", "ready"),
    Mode("gc.disable()", "observe", "observing", "disable"),
]


@dataclass(frozen=True)
class App:
    """How a server is started: words of a command, with {port}."""

    name: str
    command: list[str]
    cwd: Path = SOURCES
    path: str = "/?n={n}"
    may_tune: bool = True  # LATENCY_GC reaches it


def gunicorn(kind: str, app: str, *options: str) -> list[str]:
    words = ["-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "1", "-k", kind, "-t", "0"]
    return [*words, *options, app]


def apps(python: str) -> list[App]:
    uvicorn = ["-m", "uvicorn", "--port", "{port}", "--no-access-log", "--loop", "asyncio"]
    commands = {
        "django-sync": gunicorn("sync", "django_app:app"),
        "django-gevent": gunicorn("gevent", "django_app:app"),
        "fastapi": [*uvicorn, "fastapi_app:app"],
        "flask-gthread": gunicorn("gthread", "flask_app:app", "--threads", "4"),
    }
    return [App(name, [python, *words]) for name, words in commands.items()]


def own_app(command: str, path: str) -> App:
    """Somebody's own: told on which port to listen, where it does not say {port} itself."""
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
    return App("app", words, Path.cwd(), path, may_tune=False)


# ---- the machine ----


USABLE = sorted(os.sched_getaffinity(0))
SERVERS_CORE, GENERATORS_CORE = USABLE[0], USABLE[-1]


@contextlib.contextmanager
def quota(cpus: float | None) -> Iterator[Path | None]:
    """A cgroup with so many CPUs of time, of version 2 or 1."""
    if cpus is None:
        yield None
        return
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.controllers").exists():
        group, file, text = base, "cpu.max", f"{int(cpus * 100000)} 100000"
    else:
        group, file, text = base / "cpu", "cpu.cfs_quota_us", str(int(cpus * 100000))
    group = group / f"gcpreload-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(text)
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        raise Failed(f"--cpus needs a cgroup that may be written (root): {error}") from None
    try:
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def throttled(group: Path | None) -> float:
    """Seconds that the group was kept from running."""
    if group is None:
        return 0.0
    text = (group / "cpu.stat").read_text()
    found = re.search(r"throttled_(usec|time) (\d+)", text)
    return int(found[2]) / (1e6 if found[1] == "usec" else 1e9) if found else 0.0


# ---- one server ----


@dataclass
class Server:
    app: App
    mode: Mode
    port: int
    process: Kept
    place: Path
    group: Path | None
    log: Any
    events: Any
    worker: int = 0  # the process that serves
    followers: list[Kept] = field(default_factory=list)

    def said(self) -> str:
        return os.pread(self.log.fileno(), 1 << 16, 0).decode(errors="replace")

    def family(self) -> list[int]:
        found = [self.process.pid]
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
        return found

    def serves(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"{self.app.name} ended with {self.process.returncode}:\n{self.said()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as one:
                one.sendall(f"GET {self.app.path} HTTP/1.0\r\n\r\n".replace("{n}", "0").encode())
                one.settimeout(DEADLINE)
                if b" 200 " not in one.recv(64):
                    raise Failed(f"{self.app.path} is not answered by 200:\n{self.said()}")
        except OSError:
            return False
        return any(self._settled(one) for one in self._shown())

    def _shown(self) -> list[dict[str, Any]]:
        done = subprocess.run(
            [COMMAND, "ps", "--json", "--dir", self.place], capture_output=True, check=False
        )
        family = self.family()
        return [one for one in json.loads(done.stdout or "[]") if one["pid"] in family]

    def _settled(self, shown: dict[str, Any]) -> bool:
        if shown["state"] == "standing-back":
            raise Failed(f"{self.app.name}: the library stands back: {shown['reason']}")
        if shown["state"] != self.mode.state or not shown["fired"]:
            return False
        self.worker = shown["pid"]
        return True

    def follow(self) -> None:
        """Every collection, as it happens, into a file."""
        self.followers.append(
            Kept(
                [COMMAND, "watch", "--json", "--dir", self.place, str(self.worker)],
                os.environ,
                stdout=self.events,
            )
        )

    def collections(self) -> list[dict[str, Any]]:
        text = os.pread(self.events.fileno(), 1 << 28, 0).decode()
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        if any("events_lost" in line for line in lines):
            common.say(f"{self.mode.name}: some collections were lost to `gcpreload watch`")
        return [line for line in lines if "seconds" in line]

    def cpu(self) -> float:
        """Seconds, of all its processes."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += int(words[11]) + int(words[12])
        return total / TICKS

    def memory(self) -> tuple[int, int]:
        """Of the process that serves, in bytes: now, and at the highest."""
        text = Path(f"/proc/{self.worker}/status").read_text()
        values = [re.search(rf"^{name}:\s+(\d+)", text, re.M) for name in ("VmRSS", "VmHWM")]
        return tuple(int(found[1]) * 1024 if found else 0 for found in values)  # type: ignore[return-value]

    def end(self) -> None:
        for follower in self.followers:
            follower.end()
        self.process.end(15)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(look: Callable[[], bool], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not look():
        if time.monotonic() > deadline:
            raise Failed(complaint())
        time.sleep(0.1)


def pinned(words: Sequence[str], group: Path | None) -> list[str]:
    """A command that first goes where it is to run, so that all its children are there."""
    command = ["taskset", "-c", str(SERVERS_CORE), *words]
    if group is None:
        return command
    return ["sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', str(group), *command]


@contextlib.contextmanager
def serving(app: App, mode: Mode, objects: int, cpus: float | None) -> Iterator[Server]:
    """The server, once it is in the state in which it stays."""
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(quota(cpus))
        place = stack.enter_context(common.memory_dir())
        log, events = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        port = free_port()
        env = common.environment(
            LIBRARY,
            GCPRELOAD_DIR=str(place),
            GCPRELOAD_MODE=mode.mode,
            LATENCY_DIR=str(place),
            LATENCY_OBJECTS=str(objects),
            LATENCY_GC=mode.application,
        )
        words = [word.replace("{port}", str(port)) for word in app.command]
        command = pinned(words, group)
        process = Kept(command, env, cwd=app.cwd, stdout=log, stderr=log, removed=place)
        server = Server(app, mode, port, process, place, group, log, events)
        stack.callback(server.end)
        wait_for(server.serves, lambda: f"{app.name} in mode {mode.name}:\n{server.said()}")
        server.follow()
        yield server
