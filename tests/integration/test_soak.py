"""An application that makes nothing but cyclic garbage holds its memory in mode idle: at full
load, where no idle moment comes, and in the children of a server that preloads. A moment of it
here; ten minutes with --all."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.rings import by_pid
from lib.server import Server, gunicorn
from venvs import Interpreter

CYCLES = 50000  # objects of garbage in a request
WARM_UP, REQUESTS = 40, 160
LONG = 600.0  # seconds


def resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M)[1]) << 10


def soak(server: Server, goes_on: Callable[[int], bool]) -> list[int]:
    """Requests one after the other from two clients; the memory of its workers at each step."""

    def ask(first: int) -> None:
        number = first
        while goes_on(number):
            server.get(f"/cycles?n={CYCLES}")
            number += 1

    with ThreadPoolExecutor(2) as clients:
        for asked in [clients.submit(ask, 0), clients.submit(ask, 0)]:
            asked.result()
    return [resident(pid) for pid in server.workers()]


def test_cyclic_garbage_stays_bounded(
    system_python: Interpreter, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    ends = time.monotonic() + LONG if pytestconfig.getoption("--all") else 0.0
    interrupted = threading.Event()

    def goes_on(number: int) -> bool:
        return not interrupted.is_set() and (number < REQUESTS or time.monotonic() < ends)

    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                gunicorn(
                    system_python,
                    ring_dir,
                    workers=1,
                    GCPRELOAD_MODE="idle",
                    GUNICORN_CMD_ARGS=arguments,
                )
            )
            for arguments in ("", "--preload")
        ]
        for server in servers:
            server.workers_in_state("ready", ring_dir, 1)
        before = [soak(server, lambda number: number < WARM_UP) for server in servers]
        with ThreadPoolExecutor(2) as both:
            try:
                after = list(both.map(lambda server: soak(server, goes_on), servers))
            finally:
                interrupted.set()
        for (first,), (last,), server in zip(before, after, servers):
            assert last < first * 1.25 + (8 << 20)
            (worker,) = server.workers()
            shown = by_pid(ring_dir)[worker]
            collected = sum(part["collected"] for part in shown.gc)
            assert collected > CYCLES * REQUESTS
