"""A master that serves on the socket of the one before it.

uWSGI's never calls listen() itself, gunicorn's does so once more. Its workers own as little
memory as without the library: what they share with it stays shared.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.ports import reserved_port
from lib.puppet import collections_of
from lib.rings import by_pid
from lib.run import environment, wait_for
from lib.server import Server, children, gunicorn, only, private_kilobytes
from lib.servers import KINDS
from venvs import Interpreter

# Objects of 40 MB and more; a full collection in a worker makes all of it the worker's own.
HEAP = 300000
WORKERS = 2


def near(stock: list[int]) -> float:
    """In kilobytes; far below the heap."""
    return max(stock) * 1.5 + 8 * 1024


def memory(server: Server, workers: list[int]) -> list[int]:
    """Of each worker, once it has answered a request."""
    for worker in workers:
        with only(worker, workers):
            assert server.json("/state")["pid"] == worker
    return [private_kilobytes(pid) for pid in workers]


def workers_of(master: int, but: list[int]) -> list[int]:
    def look() -> list[int] | None:
        found = children(master)
        return found if len(found) == WORKERS and not set(found) & set(but) else None

    return wait_for(f"{WORKERS} new workers of {master}", look)


def assert_family(ring_dir: Path, master: int, workers: list[int]) -> None:
    """It collected and froze before it forked, its workers after."""

    def look() -> bool:
        shown = by_pid(ring_dir)
        return all(pid in shown and shown[pid].state == "ready" for pid in workers)

    wait_for("all new workers are ready", look)
    shown = by_pid(ring_dir)
    assert master in shown
    assert (shown[master].state, shown[master].fired) == ("parent", "auto: fork")
    assert collections_of(shown[master], "prefork") == 1
    assert collections_of(shown[master], "ready") == 0
    assert shown[master].frozen_objects >= HEAP
    assert all(shown[pid].ppid == master for pid in workers)
    assert all(shown[pid].frozen_objects >= HEAP for pid in workers)


Look = Callable[[int, list[int]], None]


def after_sigusr2(server: Server, look: Look) -> list[int]:
    """gunicorn begins a new master, told of the socket by GUNICORN_FD; then the old one ends."""
    old = workers_of(server.pid, [])
    server.process.send_signal(signal.SIGUSR2)

    def new_master() -> int | None:
        return next((pid for pid in children(server.pid) if pid not in old), None)

    master = wait_for("a new master", new_master)
    server.adopt(master)
    workers = workers_of(master, [])
    server.adopt(*workers)
    assert server.terminate() == 0
    look(master, workers)
    found = memory(server, workers)
    os.kill(master, signal.SIGTERM)
    wait_for("the end of its workers", lambda: not any(map(is_alive, workers)))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def after_sighup(server: Server, look: Look) -> list[int]:
    """uWSGI becomes itself again, by exec, with the same pid and socket."""
    old = workers_of(server.pid, [])
    memory(server, old)  # a worker that does not serve yet may miss the signal, for a minute
    server.process.send_signal(signal.SIGHUP)
    workers = workers_of(server.pid, old)
    assert "inherited INET address" in server.output()
    look(server.pid, workers)
    found = memory(server, workers)
    assert server.terminate() == 0
    return found


def compare(
    start: Callable[[Path | None], Server],
    upgrade: Callable[[Server, Look], list[int]],
    ring_dir: Path,
) -> None:
    with start(None) as server:
        stock = upgrade(server, lambda *_: None)
    with start(ring_dir) as server:
        ours = upgrade(server, lambda master, workers: assert_family(ring_dir, master, workers))
        assert "gcpreload[" not in server.output()
    print(f"kilobytes of each worker: {stock} without the library, {ours} with it")
    assert max(ours) <= near(stock)


def test_gunicorn_after_sigusr2(server_python: Interpreter, ring_dir: Path) -> None:
    def start(into: Path | None) -> Server:
        settings = {"GUNICORN_CMD_ARGS": "--preload", "APP_HEAP": str(HEAP)}
        return gunicorn(server_python, into, workers=WORKERS, **settings)

    compare(start, after_sigusr2, ring_dir)


@pytest.mark.parametrize("threads", [[], ["--enable-threads"]], ids=["", "threads"])
def test_uwsgi_after_sighup(
    system_python: Interpreter, threads: list[str], ring_dir: Path
) -> None:
    (kind,) = (kind for kind in KINDS if kind.name == " ".join(["uwsgi", *threads]))
    why_not = kind.possible(system_python)
    if why_not:
        pytest.skip(why_not)

    def start(into: Path | None) -> Server:
        server = kind.start(system_python, ring_dir)
        # It finds its socket by the address that it is told, hence the same number again.
        server.command = [address if w == "127.0.0.1:0" else w for w in server.command]
        settings = environment(into, APP_HEAP=str(HEAP))
        server.env = {**server.env, "LD_PRELOAD": "", **settings}
        return server

    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        compare(start, after_sighup, ring_dir)
