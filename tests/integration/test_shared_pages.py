"""Workers own no more memory than without the library, whoever has forked them.

Their master never calls listen(): each of them listens for itself, or the socket was there before
the master was. Nothing that they inherited is to become their own by what we do.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib.ports import reserved_port
from lib.rings import by_pid
from lib.run import environment, run
from lib.server import Server, private_kilobytes
from lib.servers import UvicornServer, ask_until
from test_upgrades import after_sigusr2, compare, workers_of
from venvs import Interpreter, venv

# Objects of 40 MB and more; a full collection in a worker makes all of it the worker's own.
HEAP = 300000
WORKERS = 2
MODES = ("freeze", "idle", "concurrent")


def near(stock: list[int]) -> float:
    """In kilobytes; far below the heap."""
    return max(stock) * 1.1 + 8 * 1024


class KnownPort(UvicornServer):
    """Its workers listen for themselves, so its master says no address."""

    known = 0

    def _find_port(self) -> int | None:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}")
        return self.known


def command(python: Interpreter, *options: str) -> list[str]:
    """The newest gunicorn for that interpreter."""
    words = [venv("asgi", python), "-m", "gunicorn", "-k", "sync", "-w", str(WORKERS)]
    return [*words, "-t", "0", "--graceful-timeout", "20", "--preload", *options, "wsgi:app"]


@contextmanager
def reuse_port(python: Interpreter, env: dict[str, str]) -> Iterator[Server]:
    """A newer gunicorn's master has no socket at all."""
    with reserved_port() as port:
        server = KnownPort(command(python, "--reuse-port", "-b", f"127.0.0.1:{port}"), env)
        server.known = port
        with server:
            yield server


ACTIVATES = """
import os, socket, sys
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen(64)
os.dup2(one.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def listen_fds(python: Interpreter, env: dict[str, str]) -> Iterator[Server]:
    """As a service manager does it, sd_listen_fds(3)."""
    words = [python.path, "-c", ACTIVATES, *command(python, "-b", "127.0.0.1:0")]
    with Server(words, env) as server:
        yield server


SETUPS = {"--reuse-port": reuse_port, "LISTEN_FDS": listen_fds}


def owned(server: Server, ready: Callable[[], list[int]]) -> list[int]:
    """Kilobytes of each worker, once it is ready and has answered requests that make garbage."""
    workers = ready()
    for _ in range(3):
        for worker in workers:
            ask_until(server, worker, "/garbage?n=20000")
    return [private_kilobytes(pid) for pid in workers]


@functools.cache
def stock(setup: str, python: Interpreter) -> list[int]:
    env = environment(APP_HEAP=str(HEAP))
    with SETUPS[setup](python, env) as server:
        return owned(server, lambda: workers_of(server.pid, []))


@pytest.mark.parametrize(
    ("setup", "mode"),
    [*(("--reuse-port", mode) for mode in MODES), ("LISTEN_FDS", "idle")],
)
def test_workers_of_gunicorn(
    server_python: Interpreter, setup: str, mode: str, ring_dir: Path
) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE=mode, APP_HEAP=str(HEAP))
    with SETUPS[setup](server_python, env) as server:

        def ready() -> list[int]:
            workers = server.workers_in_state("ready", ring_dir, WORKERS)
            assert all(worker.frozen_objects >= HEAP for worker in workers)
            return [worker.pid for worker in workers]

        ours = owned(server, ready)
        master = by_pid(ring_dir).get(server.pid)
    if setup == "LISTEN_FDS":
        assert master and (master.state, master.fired) == ("parent", "auto: fork")
    of_stock = stock(setup, server_python)
    print(f"kilobytes of each worker: {of_stock} without the library, {ours} with it")
    assert max(ours) <= near(of_stock)


def test_a_newer_gunicorn_after_sigusr2(server_python: Interpreter, ring_dir: Path) -> None:
    """Its new master duplicates the socket that it was told of, and does not listen again."""
    if server_python.minor < (3, 10):
        pytest.skip("the newest gunicorn for it is an older one")

    def start(into: Path | None) -> Server:
        env = environment(into, GCPRELOAD_MODE="freeze", APP_HEAP=str(HEAP))
        return Server(command(server_python, "-b", "127.0.0.1:0"), env)

    compare(start, after_sigusr2, ring_dir)


# A child of a parent without any socket. What it loads itself is no object that a collector looks
# at; then, with the argument "grows", as much again once it serves.
WORKER = """
import gc, json, os, select, socket, sys
heap = [[i, {}] for i in range(300000)]
gc.collect()
def private():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))
def full():
    return gc.get_stats()[2]["collections"]
def serve():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    loaded = b"x" * (64 << 20)
    select.select([listener], [], [], 0)
    before = full()
    if "grows" in sys.argv:
        grown = b"x" * (256 << 20)
        while "LD_PRELOAD" in os.environ and full() == before:
            select.select([listener], [], [], 0.03)
    print(json.dumps([gc.get_freeze_count(), private()]), flush=True)
pid = os.fork()
if not pid:
    serve()
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("mode", ["freeze", "idle"])
@pytest.mark.parametrize("words", [[], ["grows"]], ids=["", "grows"])
def test_a_worker_with_large_buffers(
    one_of_two_pythons: Interpreter, mode: str, words: list[str], ring_dir: Path
) -> None:
    """The interpreter makes no full collection because of them; nor do we of what it inherited."""
    python = one_of_two_pythons

    def private(env: dict[str, str]) -> tuple[int, int]:
        done = run([python.path, "-c", WORKER, *words], env)
        assert (done.returncode, done.stderr) == (0, b"")
        frozen, kilobytes = json.loads(done.stdout)
        return frozen, kilobytes

    _, of_stock = private(environment())
    frozen, ours = private(environment(ring_dir, GCPRELOAD_MODE=mode))
    assert frozen >= HEAP
    assert ours <= of_stock + 12 * 1024
