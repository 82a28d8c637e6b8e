"""GCPRELOAD_MODE=idle on servers with loops of their own: they collect while they wait there."""

from __future__ import annotations

import ftplib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from lib.paths import APPS, DEADLINE
from lib.puppet import collections_of
from lib.rings import Process, by_pid
from lib.run import environment, wait_for
from lib.server import HEAP, Server
from venvs import Interpreter, venv

GARBAGE = "/cycles?n=5500"  # so that a collection is due after each
REQUESTS = 100
ROUNDS = 10  # at most
# Where each wait is looked at there is one collection a request; some have a tenth of that.
AT_LEAST = 3
OWN_PROGRAM = str(APPS / "known_loops.py")


class Patient(Server):
    """It says its address before it listens."""

    def _answers(self) -> bool:
        try:
            return super()._answers()
        except ConnectionRefusedError:
            return False

    def ask_for_garbage(self) -> int:
        """The pid of who made it."""
        answer = self.json(GARBAGE)
        assert list(answer) == ["pid"]
        return answer["pid"]


class FtpServer(Patient):
    def get(self, path: str) -> str:
        with ftplib.FTP() as ftp:
            ftp.connect("127.0.0.1", self.port, DEADLINE)
            ftp.login()
            return ftp.voidcmd("NOOP").removeprefix("200 ")

    def ask_for_garbage(self) -> int:
        return int(self.get("").removeprefix("hello from "))


@dataclass(frozen=True)
class Loop:
    words: tuple[str, ...]
    kind: type[Patient] = Patient
    ends: tuple[int, ...] = (0,)  # with which status, after SIGTERM


def hypercorn(*words: str, ends: tuple[int, ...] = (0,)) -> Loop:
    return Loop(("-m", "hypercorn", "-b", "127.0.0.1:0", *words, "asgi:app"), ends=ends)


def own(name: str, kind: type[Patient] = Patient) -> Loop:
    return Loop((OWN_PROGRAM, name), kind)


LOOPS = {
    "hypercorn asyncio": hypercorn("-w", "0", "-k", "asyncio"),
    "hypercorn asyncio, a worker": hypercorn("-k", "asyncio"),
    # It has no handler of the signal.
    "hypercorn trio": hypercorn("-w", "0", "-k", "trio", ends=(-15,)),
    "hypercorn trio, a worker": hypercorn("-k", "trio"),
    "waitress": Loop(("-m", "waitress", "--listen=127.0.0.1:0", "wsgi:app"), ends=(-15,)),
    "pyftpdlib": own("pyftpdlib", FtpServer),
    "eventlet": own("eventlet"),
    "sanic on asyncio": own("sanic on asyncio"),
    "sanic on uvloop": own("sanic on uvloop"),
    "sock_accept": own("sock_accept"),
    "twisted epoll": own("twisted epoll"),
    "twisted asyncio": own("twisted asyncio"),
    "twisted poll": own("twisted poll"),
    "twisted select": own("twisted select"),
    "uvloop in a thread": own("uvloop in a thread"),
}


@pytest.fixture(scope="module")
def program(system_python: Interpreter) -> str:
    try:
        return venv("loops", system_python)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"scripts/requirements/loops.txt cannot be installed: {error}")


def becomes_ready(server: Patient, ring_dir: Path) -> Process:
    """The process that serves."""

    def look() -> Process | None:
        shown = by_pid(ring_dir).get(server.ask_for_garbage())
        return shown if shown and shown.state == "ready" else None

    return wait_for("readiness", look)


def ask(server: Patient, pid: int) -> None:
    for _ in range(REQUESTS):
        time.sleep(0.01)  # a client that thinks: there is something to wait for
        assert server.ask_for_garbage() == pid


@pytest.mark.parametrize("name", LOOPS)
def test_collects_while_it_waits(name: str, program: str, ring_dir: Path) -> None:
    loop = LOOPS[name]
    command = [program, "-W", "ignore", *loop.words]
    with loop.kind(command, environment(ring_dir, GCPRELOAD_MODE="idle")) as server:
        process = becomes_ready(server, ring_dir)
        before = after = collections_of(process, "idle")
        for _ in range(ROUNDS):
            ask(server, process.pid)
            after = collections_of(by_pid(ring_dir)[process.pid], "idle")
            if after >= before + AT_LEAST:
                break
        fired = process.fired
        print(f"{after - before} collections while it waited; made ready by {fired}")
        assert after >= before + AT_LEAST
        assert process.frozen_objects >= HEAP
        assert server.terminate() in loop.ends
        assert "Traceback" not in server.output()
        assert "gcpreload[" not in server.output()
    wait_for("the end of all", lambda: not by_pid(ring_dir))
