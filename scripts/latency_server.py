"""The servers of the latency benchmark: an application in one mode, started, pinned, measured."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import bench_common as common
import latency_processes as processes
from bench_common import ROOT, Failed
from kept import Kept
from latency_apps import App, Mode

COMMAND = ROOT / "build" / "gcpreload"
LIBRARY = ROOT / "build" / "libgcpreload.so"
DEADLINE = 120.0


class LeftOut(Failed):
    """A mode that did not come into force, or did not stay so: it gets no row."""


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
    sizes: Any
    worker: int = 0  # the process that serves
    followers: list[Kept] = field(default_factory=list)

    def said(self) -> str:
        return os.pread(self.log.fileno(), 1 << 16, 0).decode(errors="replace")

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
        family = processes.tree(self.process.pid)
        return [one for one in json.loads(done.stdout or "[]") if one["pid"] in family]

    def _check_mode(self, shown: dict[str, Any]) -> None:
        """A mode that the library refuses is replaced by another, which must not get its row."""
        if shown["mode"] in (None, self.mode.mode) and shown["state"] != "standing-back":
            return
        has = f"mode {shown['mode']}, state {shown['state']}"
        why = [shown["reason"]] if shown["reason"] else []
        why += re.findall(r"^gcpreload\[\d+\]: (GCPRELOAD_MODE=.*?: .*)", self.said(), re.M)[:1]
        raise LeftOut("; ".join([f"not in force: the process has {has}", *why]))

    def check_still(self, collections: list[dict[str, Any]]) -> None:
        """That these were measured in the mode that was asked for."""
        shown = [one for one in self._shown() if one["pid"] == self.worker and one["alive"]]
        if not shown:
            raise Failed(f"{self.app.name}: its process ended:\n{self.said()}")
        self._check_mode(shown[0])
        if shown[0]["state"] != self.mode.state:
            state = f"state {shown[0]['state']} instead of {self.mode.state}"
            raise LeftOut(f"no longer in force: {state}")
        if self.mode.never_collects and any(one["cause"] == "automatic" for one in collections):
            raise LeftOut("not in force: the interpreter collects")

    def _settled(self, shown: dict[str, Any]) -> bool:
        self._check_mode(shown)
        if shown["state"] != self.mode.state or not shown["fired"]:
            return False
        self.worker = shown["pid"]
        return True

    def follow(self) -> None:
        """Every collection, as it happens, into a file; and memory, often."""
        for command, into in (
            ([COMMAND, "watch", "--json", "--dir", self.place, str(self.worker)], self.events),
            ([sys.executable, processes.__file__, str(self.worker)], self.sizes),
        ):
            self.followers.append(Kept(command, os.environ, stdout=into))

    def events_between(self, begin: float, end: float) -> list[dict[str, Any]]:
        """What `gcpreload watch` told."""
        text = os.pread(self.events.fileno(), 1 << 28, 0).decode()
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        if any("events_lost" in line for line in lines):
            common.say(f"{self.mode.name}: some collections were lost to `gcpreload watch`")
        return [line for line in lines if begin <= line.get("time", 0) <= end]

    def cpu(self) -> float:
        """Seconds, of all its processes, and of those that they have waited for."""
        return processes.cpu(self.process.pid)

    def together_between(self, begin: float, end: float) -> int:
        """The most that the process that serves and its descendants held together, as sampled."""
        if self.followers[1].poll() is not None:
            raise Failed(f"{self.app.name}: the memory of its processes could not be followed")
        text = os.pread(self.sizes.fileno(), 1 << 24, 0).decode()
        lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return max((int(held) for at, held in lines if begin <= float(at) <= end), default=0)

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
        log, events, sizes = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        port = free_port()
        settings = {
            "GCPRELOAD_DIR": str(place),
            "GCPRELOAD_MODE": mode.mode,
            "LATENCY_DIR": str(place),
            "LATENCY_OBJECTS": str(objects),
            "LATENCY_GC": mode.application,
        }
        env = common.environment(LIBRARY, **{**settings, **app.environment})
        words = [word.replace("{port}", str(port)) for word in app.command]
        command = pinned(words, group)
        process = Kept(command, env, cwd=app.cwd, stdout=log, stderr=log, removed=place)
        server = Server(app, mode, port, process, place, group, log, events, sizes)
        stack.callback(server.end)
        wait_for(server.serves, lambda: f"{app.name} in mode {mode.name}:\n{server.said()}")
        server.follow()
        yield server
