"""A C program with Python inside that waits for its clients itself: no interpreter is there to
call again what was interrupted, and to take an empty answer for none."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

import pytest
from lib.hosts import Hosts
from lib.waiting import Waiting, connect, waiting
from venvs import Interpreter, supported_interpreters

MODES = ["freeze", "idle"]
CHECKED = ["__poll_chk", "__ppoll_chk"]
KINDS = [
    "accept",
    "accept4",
    "poll",
    "poll for ever",
    "ppoll",
    "select",
    "select for ever",
    "epoll_wait",
    "epoll_wait for ever",
    "epoll_pwait",
    *CHECKED,
]
# Blocking accepts, and a wait that may never be found empty, have no idle collections.
IDLE_KINDS = [k for k in KINDS if k not in ("accept", "accept4", "epoll_pwait")]
ROUNDS = 50  # in one of so many waits a collection is due and nothing in its way

# ctypes is not imported before the first wait: it would be the first to be collected.
SETUP = """
if 'HEAP' not in globals():
    HEAP = [[number] for number in range(20000)]
for _ in range(8000):
    cycle = []
    cycle.append(cycle)
"""
# Its finalizer is C, as a handler in Python could not run in it.
SIGNAL = """
import ctypes, functools, os, signal
class Signals:
    __del__ = staticmethod(functools.partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGUSR1))
def leave():
    one = Signals()
    one.me = one
leave()
"""
# Says when it began. CLOCK_MONOTONIC is the same in all processes.
SLOW = """
import time
class Slow:
    def __del__(self):
        began = time.monotonic()
        {}
        print(began, flush=True)
def leave():
    one = Slow()
    one.me = one
leave()
"""
LONG = 600  # seconds, as the program has it


def started(
    hosts: Hosts,
    python: Interpreter,
    ring_dir: Path,
    mode: str,
    kind: str,
    *,
    setup: str = SETUP,
    rounds: int = 1,
    signals: str = "interrupt",
) -> contextlib.AbstractContextManager[Waiting]:
    program, extra = hosts.of(python, "waiting_host")
    command = [program, kind, setup, str(rounds), signals]
    return waiting(ring_dir, command, extra, GCPRELOAD_MODE=mode)


FEW = [p for p in supported_interpreters() if p.shared and p.minor in ((3, 8), (3, 12), (3, 13))]
on_few = pytest.mark.parametrize("shared", FEW, ids=str)


@pytest.mark.parametrize("mode", MODES)
def test_every_first_wait(python: Interpreter, mode: str, hosts: Hosts, ring_dir: Path) -> None:
    """It collects there, and the wait is over when the client comes."""
    with contextlib.ExitStack() as stack:
        servers = [
            (kind, stack.enter_context(started(hosts, python, ring_dir, mode, kind)))
            for kind in KINDS
        ]
        ports = [server.port() for _, server in servers]
        for (kind, server), port in zip(servers, ports):
            server.becomes_ready()
            assert server.says(0.01) is None, f"{kind} came back by itself"
            connect(port)
            assert server.says() == "client", kind
            assert server.end() == 0


def test_the_checked_calls_are_made(python: Interpreter, hosts: Hosts) -> None:
    program, _ = hosts.of(python, "waiting_host")
    for name in CHECKED:
        assert name.encode() in program.read_bytes()


@on_few
def test_idle_collections(shared: Interpreter, hosts: Hosts, ring_dir: Path) -> None:
    with contextlib.ExitStack() as stack:
        for kind in IDLE_KINDS:
            server = stack.enter_context(
                started(hosts, shared, ring_dir, "idle", kind, rounds=ROUNDS)
            )
            serves_until_idle(server, kind)


def serves_until_idle(server: Waiting, kind: str) -> None:
    port = server.port()
    for _ in range(ROUNDS):
        assert server.says(0.03) is None, f"{kind} came back by itself"
        connect(port)
        assert server.says() == "client", kind
        if server.idle_collections() >= 2:
            server.process.kill()
            return
    raise AssertionError(f"no idle collection in any wait by {kind}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("kind", "signals", "answer"),
    [
        ("poll", "interrupt", "Interrupted system call by a signal"),
        ("poll", "restart", "Interrupted system call by a signal"),
        ("select for ever", "interrupt", "Interrupted system call by a signal"),
        ("epoll_wait for ever", "interrupt", "Interrupted system call by a signal"),
        ("accept", "interrupt", "Interrupted system call by a signal"),
        ("accept", "restart", "client and a signal"),
    ],
)
@on_few
def test_a_signal_in_the_collection(
    shared: Interpreter,
    mode: str,
    kind: str,
    signals: str,
    answer: str,
    hosts: Hosts,
    ring_dir: Path,
) -> None:
    """As one that comes in the wait: what it does not end goes on, whatever the library did."""
    setup = SETUP + SIGNAL
    with started(hosts, shared, ring_dir, mode, kind, setup=setup, signals=signals) as server:
        port = server.port()
        server.becomes_ready()
        if "client" in answer:
            assert server.says(0.03) is None, "it came back by itself"
            connect(port)
        assert server.says() == answer
        assert server.end() == 0


@on_few
def test_what_select_says_is_left(shared: Interpreter, hosts: Hosts, ring_dir: Path) -> None:
    """The time of the collection is part of the time-out."""
    setup = SETUP + SLOW.format("time.sleep(0.3)")
    kind = "select, and what is left"
    with started(hosts, shared, ring_dir, "freeze", kind, setup=setup) as server:
        port = server.port()
        began = float(server.says() or "nan")
        server.becomes_ready()
        came = time.monotonic()
        connect(port)
        left = float(server.says() or "nan")
        assert 0 < left < LONG - (came - began) + 0.001
        assert server.says() == "client"


@on_few
def test_what_select_says_of_a_client_that_came_meanwhile(
    shared: Interpreter, hosts: Hosts, ring_dir: Path
) -> None:
    setup = SETUP + SLOW.format("input(); time.sleep(0.01)")
    kind = "select, and what is left"
    with started(hosts, shared, ring_dir, "freeze", kind, setup=setup) as server:
        port = server.port()
        with socket.create_connection(("127.0.0.1", port)):
            assert server.process.stdin
            server.process.stdin.write(b"go on\n")
            server.says()
            assert 0 < float(server.says() or "nan") < LONG
            assert server.says() == "client"
