"""A cell of the matrix: one program on one interpreter in one mode, started, asked, looked at and
ended. What is found are facts; scripts/matrix_verdict.py judges them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kept
import latency_processes as processes
import matrix_ask
from bench_common import ROOT
from kept import Kept
from matrix_ask import Http, Lines, Refused, Tally
from matrix_workload import APPS, KEEP_ALIVE, LINES, MATRIX_APPS, UNIX, Workload
from venvs import clean_environment

COMMAND = ROOT / "build" / "gcpreload"
MODES = ("freeze", "idle", "concurrent")
STOCK = "stock"
HEAP = 150000  # objects in cycles that each application makes at its start, and as many lists
START = 90.0  # seconds until the first answer, on a machine that others use
FEWER = 8.0  # seconds after which fewer processes than expected are all that answer
JOBS = 100
THINKS = 0.01  # seconds between two jobs: there is something to wait for
FINDS_HOME = (
    15.0  # seconds of that before the measured part, at most, where no listener is waited on
)
GRACE = 20.0  # seconds, to end
OUTPUT = 1 << 20


class Stopped(Exception):
    """The whole run is to end."""


@dataclass
class Stop:
    """Told by a signal handler, which must not raise: what it interrupts may be a destructor or a
    lock of Python's own, and then all of it is lost."""

    asked: bool = False
    by: int = 0  # that signal


class CouldNot(Exception):
    """It did not come to be measured."""


@dataclass
class Facts:
    """Of one cell. As JSON it is what scripts/matrix keeps under build/."""

    mode: str
    error: str = ""
    answered: int = 0
    lost: int = 0
    wrong: int = 0
    faults: list[str] = field(default_factory=list)
    counted: list[dict[str, Any]] = field(default_factory=list)  # the processes that answer
    others: list[dict[str, Any]] = field(default_factory=list)
    jobs: int = 0  # of the measured part, by the processes that are counted
    idle: int = 0  # collections at waits meanwhile, in these
    refused: dict[str, int] = field(default_factory=dict)
    private_kb: int = 0  # of one of them, on average
    exit: int | None = None
    tracebacks: int = 0
    traceback: str = ""  # the first one
    said: list[str] = field(default_factory=list)  # by the library


@dataclass(frozen=True)
class Setting:
    """What the cells of a row have in common."""

    workload: Workload
    program: str  # the environment's python
    library: Path
    patience: float  # seconds in which a process may become ready
    stop: Stop


# Below those that the kernel gives to clients, of which there are many here.
_PORTS = itertools.cycle(range(10000 + os.getpid() % 9000, 32000))
_PORTS_LOCK = threading.Lock()


def free_port() -> int:
    with _PORTS_LOCK:
        for port in _PORTS:
            with contextlib.suppress(OSError), socket.socket() as one:
                one.bind(("127.0.0.1", port))
                return port
    raise CouldNot("no port is free")


def collections_of(process: dict[str, Any], cause: str) -> int:
    return sum(part["collections"] for part in process["gc"] if part["cause"] == cause)


def _refused(process: dict[str, Any]) -> dict[str, int]:
    """A process without measurements has the names, and no numbers."""
    return {why: number or 0 for why, number in (process.get("refused_chances") or {}).items()}


def _text(error: Exception) -> str:
    kind = "" if isinstance(error, CouldNot) else f"{type(error).__name__}: "
    return f"{kind}{error}"[:3000]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def wait_until(look: Callable[[], bool], seconds: float, stop: Stop) -> bool:
    ends = time.monotonic() + seconds
    while not look():
        if stop.asked:
            raise Stopped
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


class Cell:
    """Use it in a with statement; then measure()."""

    def __init__(self, setting: Setting, mode: str) -> None:
        self.workload = setting.workload
        self.setting = setting
        self.mode = mode
        self.facts = Facts(mode)
        self.tally = Tally()
        self.next = 0
        self.asker: Kept | None = None

    def __enter__(self) -> Cell:
        with contextlib.ExitStack() as stack:
            self.place = Path(
                tempfile.mkdtemp(prefix=f"gcpreload-matrix-{os.getpid()}-", dir="/dev/shm")
            )
            stack.callback(shutil.rmtree, self.place, ignore_errors=True)
            if self.workload.other_user:
                self.place.chmod(0o1777)
            self.log = stack.enter_context(tempfile.TemporaryFile())
            self.port = free_port()
            self.redis_port = free_port() if self.workload.redis else 0
            if self.workload.redis:
                words = ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1"]
                words += ["--save", "", "--appendonly", "no", "--dir", str(self.place)]
                null = subprocess.DEVNULL
                redis = Kept(words, clean_environment(), stdout=null, stderr=null)
                stack.callback(redis.end, 5)
                self._wait_for_redis()
            if self.workload.asked == LINES:
                self.channel: matrix_ask.Channel = Lines(self.place, self.lives)
            else:
                self.channel = Http(self.address, self.workload.asked == KEEP_ALIVE)
            stack.callback(self.channel.close)
            self.process = self._start(self.workload.command, self.mode)
            stack.callback(self.process.end, 5)
            if self.workload.asker:
                words = (self.setting.program, str(MATRIX_APPS / "talk.py"), self.workload.asker)
                self.asker = self._start(words, STOCK, APP_HEAP="0")
                stack.callback(self.asker.end, 1)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    # ---- starting ----

    def _wait_for_redis(self) -> None:
        def look() -> bool:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.redis_port), 1),
            ):
                return True
            return False

        if not wait_until(look, START, self.setting.stop):
            raise CouldNot("redis-server does not answer")

    def _start(self, command: Any, mode: str, **more: str) -> Kept:  # noqa: ANN401 - of words
        own = {
            "python": self.setting.program,
            "port": self.port,
            "socket": self.place / "socket",
            "place": self.place,
            "redis": self._redis(),
            "apps": APPS,
            "matrix": MATRIX_APPS,
        }
        words = [
            re.sub(r"\{(\w+)\}", lambda found: str(own[found[1]]), str(word)) for word in command
        ]
        env = {**self._environment(mode), **more}
        return Kept(words, env, cwd=APPS, stdout=self.log, stderr=self.log, removed=self.place)

    def _redis(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    def _environment(self, mode: str) -> dict[str, str]:
        """How long a collection takes is the machine's doing and must not decide what is found:
        nothing is beyond a budget, and threshold0 stays where it is."""
        env = {
            **clean_environment(),
            "APP_HEAP": str(HEAP),
            "MATRIX_APPS": str(APPS),
            "MATRIX_IN": str(self.place / "in"),
            "MATRIX_OUT": str(self.place / "out"),
            "MATRIX_PLACE": str(self.place),
            "MATRIX_PORT": str(self.port),
            "MATRIX_REDIS": self._redis(),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{MATRIX_APPS}:{APPS}",
            "PYTHONUNBUFFERED": "1",
        }
        if mode != STOCK:
            env.update(
                LD_PRELOAD=str(self.setting.library),
                GCPRELOAD_DIR=str(self.place),
                GCPRELOAD_CONF="",
                GCPRELOAD_MODE=mode,
                GCPRELOAD_YOUNG_MS="0",
                GCPRELOAD_BUDGET_MS="60000",
            )
            if mode == "idle":
                env["GCPRELOAD_PAUSE_MS"] = "60000"
        return env

    def address(self) -> int | Path:
        """Where it listens."""
        if self.workload.asked == UNIX:
            return self.place / "socket"
        if not self.workload.says_port:
            return self.port
        found = re.search(r"(?:http://127\.0\.0\.1:|127\.0\.0\.1 port )(\d+)", self.output())
        if not found:
            raise Refused("it has not said its port")
        return int(found[1])

    # ---- what it is like ----

    def output(self) -> str:
        return os.pread(self.log.fileno(), OUTPUT, 0).decode(errors="replace")

    def last_words(self) -> str:
        """What it printed last, and then what led to it."""
        lines = [line for line in self.output().splitlines() if line.strip()][-20:]
        return "\n".join([*lines[-1:], *lines])

    def lives(self) -> bool:
        """What answers may live on when what was started has ended: an upgrade in place."""
        if self.setting.stop.asked:
            raise Stopped
        if self.asker and self.asker.poll() is not None:
            return False
        return self.process.poll() is None or bool(self.workload.then)

    def shown(self) -> dict[int, dict[str, Any]]:
        """Every process of this cell, as ps has it: those that ended, too."""
        if self.mode == STOCK:
            return {}
        words = [COMMAND, "ps", "--all", "--all-users", "--json", "--dir", self.place]
        done = subprocess.run(
            words, env=clean_environment(), capture_output=True, text=True, check=False
        )
        found = [one for one in json.loads(done.stdout or "[]") if one["pid"]]
        mine = {*kept.session(self.process.pid), *self.tally.by_pid}
        found = [one for one in found if one["file"] or one["pid"] in mine]
        # A process that has become another program has two files: the living one counts.
        return {one["pid"]: one for one in sorted(found, key=lambda one: one["alive"])}

    def is_counted(self, pid: int) -> bool:
        if self.workload.leader_counts:
            return pid == self.process.pid
        return pid in self.tally.by_pid

    def is_ready(self) -> bool:
        counted = [one for pid, one in self.shown().items() if self.is_counted(pid)]
        alive = [one for one in counted if one["alive"]]
        return bool(alive) and all(one["state"] == "ready" for one in alive)

    # ---- work ----

    def ask(self, number: int = 1, losses_count: bool = True) -> list[Any]:
        """So many pieces of work at once."""
        if self.setting.stop.asked:
            raise Stopped
        numbers = range(self.next, self.next + number)
        self.next += number
        answers = self.channel.ask(numbers)
        for one, answer in zip(numbers, answers):
            if losses_count or not isinstance(answer, Exception):
                self.tally.add(one, answer)
        return answers

    def wait_for_an_answer(self) -> None:
        ends = time.monotonic() + START
        while True:
            (answer,) = self.ask(losses_count=False)
            if not isinstance(answer, Exception):
                return
            if not self.lives():
                raise CouldNot(f"it ended with {self.process.poll()}: {self.last_words()}")
            if time.monotonic() > ends:
                raise CouldNot(f"no answer ({answer!r}): {self.last_words()}")
            time.sleep(0.1)

    def settle(self, losses_count: bool = True) -> None:
        """Until all that answer are ready, as long as patience lasts. Some work all the time."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self.setting.patience:
            for _ in range(5):
                self.ask(4, losses_count)
                time.sleep(THINKS)
            everybody = len(self.tally.by_pid) >= self.workload.workers or waited > FEWER
            if everybody and (self.mode == STOCK or self.is_ready()):
                return

    def find_home(self) -> None:
        """A wait without a listener is known by the time that was spent in it, which it was not
        while all worked to become ready."""

        def look() -> bool:
            for _ in range(20):
                self.ask()
                time.sleep(THINKS)
            found = [one for pid, one in self.shown().items() if self.is_counted(pid)]
            return any(collections_of(one, "idle") for one in found)

        if self.workload.asked == LINES and self.mode in ("idle", "concurrent"):
            wait_until(look, FINDS_HOME, self.setting.stop)

    def measure_waits(self) -> None:
        before, answered = self.shown(), dict(self.tally.by_pid)
        for _ in range(JOBS):
            self.ask()
            time.sleep(THINKS)
        after = self.shown()
        for pid, one in after.items():
            if self.is_counted(pid):
                was = before.get(pid)
                idle = collections_of(one, "idle")
                self.facts.idle += idle - (collections_of(was, "idle") if was else 0)
                for why, number in _refused(one).items():
                    since = number - _refused(was or {}).get(why, 0)
                    self.facts.refused[why] = self.facts.refused.get(why, 0) + since
        self.facts.jobs = sum(self.tally.by_pid.values()) - sum(answered.values())

    # ---- what an operator does ----

    def operate(self) -> None:
        old = set(self.tally.by_pid)
        number = {"hup": signal.SIGHUP, "usr2": signal.SIGUSR2}[self.workload.then]
        os.kill(self.process.pid, number)

        def only_new() -> bool:
            """Several times: some of the old ones may still be there."""
            self.tally.by_pid.clear()
            for _ in range(3):
                self.ask(4, losses_count=False)
            return bool(self.tally.by_pid) and not old & set(self.tally.by_pid)

        def any_new() -> bool:
            self.ask(4, losses_count=False)
            return bool(set(self.tally.by_pid) - old)

        if self.workload.then == "usr2":
            if not wait_until(any_new, START, self.setting.stop):
                raise CouldNot("no new process has answered")
            os.kill(self.process.pid, signal.SIGQUIT)
            self.process.wait(GRACE)
        if not wait_until(only_new, START, self.setting.stop):
            raise CouldNot("the old processes still answer")

    # ---- the whole ----

    def measure(self) -> Facts:
        facts = self.facts
        try:
            self.wait_for_an_answer()
            self.settle()
            if self.workload.then:
                self.operate()
                self.settle()
            self.find_home()
            self.measure_waits()
            self._look()
            self._end()
        except (CouldNot, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            facts.error = _text(error)
        facts.answered, facts.lost, facts.wrong = (
            self.tally.answered, self.tally.lost, self.tally.wrong,
        )  # fmt: skip
        facts.faults = self.tally.faults
        text = self.output()
        _, *found = text.split("Traceback (most recent call last):")
        facts.tracebacks = len(found)
        facts.traceback = found[0][:3000] if found else ""
        facts.said = sorted({
            re.sub(r"\[\d+\]", "[]", line) for line in text.splitlines()
            if line.startswith("gcpreload[")
        })  # fmt: skip
        return facts

    def _look(self) -> None:
        for pid, one in self.shown().items():
            kept_fields = ("pid", "alive", "command", "mode", "state", "reason", "fired",
                           "frozen_objects", "thresholds", "refused_chances", "guard")  # fmt: skip
            brief = {name: one.get(name) for name in kept_fields}
            brief["collections"] = {
                part["cause"]: collections_of(one, part["cause"]) for part in one["gc"]
            }
            (self.facts.counted if self.is_counted(pid) else self.facts.others).append(brief)
        answering = [self.process.pid] if self.workload.leader_counts else self.tally.by_pid
        time.sleep(0.5)  # what a job's child shares until its end is not private
        sizes = [size for pid in answering if (size := processes.own(pid))]
        self.facts.private_kb = sum(sizes) // len(sizes) // 1024 if sizes else 0

    def _end(self) -> None:
        """As a service manager does it."""
        leader = self.process.pid
        if self.process.poll() is None:
            os.kill(leader, signal.SIGTERM)
            try:
                self.facts.exit = self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                return
        else:  # it has handed over to another
            self.facts.exit = self.process.returncode
            masters = {parent_of(pid) for pid in self.tally.by_pid} - {0, 1, os.getpid()}
            for master in masters & set(kept.session(leader)):
                with contextlib.suppress(OSError):
                    os.kill(master, signal.SIGTERM)
            wait_until(lambda: not kept.session(leader), GRACE, self.setting.stop)


def measured(setting: Setting, mode: str) -> Facts:
    try:
        with Cell(setting, mode) as cell:
            return cell.measure()
    except (CouldNot, OSError) as error:
        return Facts(mode, error=_text(error))


def row_of_cells(setting: Setting) -> Iterator[Facts]:
    """All modes at the same time, stock among them: each waits more than it works."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(MODES) + 1) as pool:
        yield from pool.map(lambda mode: measured(setting, mode), (STOCK, *MODES))
