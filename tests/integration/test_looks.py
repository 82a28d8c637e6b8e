"""GCPRELOAD_MODE=idle: each wait of the server's is looked at, whatever other waits there are, and
none costs a system call more where there is something to do."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from lib.paths import APPS, DEADLINE, LIBRARY
from lib.puppet import collections_of
from lib.rings import by_pid
from lib.run import environment, run
from lib.server import Server
from venvs import Interpreter, venv

LOOKS = APPS / "looks.py"
MANY = 10  # of 20 rounds; a machine that stands still takes some
WAITS = ("select", "pselect6", "poll", "ppoll", "epoll_wait", "epoll_pwait")


# No automatic collection comes before the wait, however slow the machine is.
SETTINGS = {"GCPRELOAD_THRESHOLDS": "500000,keep,keep", "GCPRELOAD_PAUSE_MS": "100"}


def rounds(program: str, ring_dir: Path, *words: str, mode: str = "idle") -> int:
    env = environment(ring_dir, GCPRELOAD_MODE=mode, **SETTINGS)
    done = run([program, "-W", "ignore", LOOKS, *words], env)
    assert (done.stderr, done.returncode) == (b"", 0)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "kinds",
    [
        ("select", "poll"),
        ("select", "select"),
        ("select", "socket"),
        ("poll", "poll"),
        ("poll", "socket"),
        ("epoll", "epoll"),
        ("epoll", "poll"),
    ],
    ids=" and ".join,
)
def test_another_wait_takes_no_look(
    one_of_two_pythons: Interpreter, kinds: Sequence[str], ring_dir: Path
) -> None:
    """As a driver makes within a request, or gunicorn when it closes a connection."""
    assert rounds(one_of_two_pythons.path, ring_dir, "others", *kinds) >= MANY


@pytest.mark.parametrize("kind", ["select", "poll"])
def test_so_it_is_where_the_server_accepted_first(
    one_of_two_pythons: Interpreter, kind: str, ring_dir: Path
) -> None:
    """As gunicorn's first request does, where a client came before its first wait."""
    assert rounds(one_of_two_pythons.path, ring_dir, "accepted", kind) >= MANY


@pytest.mark.parametrize("kind", ["select", "poll", "epoll"])
@pytest.mark.parametrize("mode", ["idle", "concurrent"])
def test_a_look_that_comes_too_early_is_waited_for(
    one_of_two_pythons: Interpreter, mode: str, kind: str, ring_dir: Path
) -> None:
    assert rounds(one_of_two_pythons.path, ring_dir, "soon", kind, mode=mode) >= MANY


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_so_it_is_in_a_loop(server_python: Interpreter, loop: str, ring_dir: Path) -> None:
    """An endless wait of libuv's must not come back empty."""
    program = venv("uvloop", server_python) if loop == "uvloop" else server_python.path
    assert rounds(program, ring_dir, "soon", loop) >= MANY


@pytest.mark.parametrize("loop", ["gevent", "uvloop"])
def test_after_a_readiness_that_the_loop_was_given(
    server_python: Interpreter, loop: str, ring_dir: Path
) -> None:
    """The next look is not a second later."""
    program = venv("gunicorn" if loop == "gevent" else "uvloop", server_python)
    assert rounds(program, ring_dir, "deferred", loop) >= MANY


# ---- what it costs ----


def wait_calls(python: Interpreter, ring_dir: Path, kind: str, *, preloaded: bool) -> int:
    """How often a server waits to which clients come all the time."""
    log = ring_dir / "strace"
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(WAITS)}"]
    if preloaded:
        command += ["-E", f"LD_PRELOAD={LIBRARY}"]
    env = environment(ring_dir, GCPRELOAD_MODE="idle")
    del env["LD_PRELOAD"]
    done = run([*command, python.path, LOOKS, "pending", kind], env)
    if done.returncode != 0:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode()}")
    assert json.loads(done.stdout) is preloaded
    return len(re.findall(rf"^\d+ +(?:{'|'.join(WAITS)})\(", log.read_text(), re.M))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("kind", ["select", "poll", "epoll"])
def test_a_wait_with_something_to_do_is_one_call(
    system_python: Interpreter, kind: str, ring_dir: Path
) -> None:
    plain = wait_calls(system_python, ring_dir, kind, preloaded=False)
    assert plain >= 300
    assert wait_calls(system_python, ring_dir, kind, preloaded=True) == plain


# ---- real servers ----

REQUESTS = 100
TRIES = 5  # a machine that does other things may be slower than the client that thinks
SERVERS = {
    "sync": ("-k", "sync"),
    "gthread": ("-k", "gthread", "--threads", "4", "--keep-alive", "0"),
    "gthread, keep-alive": ("-k", "gthread", "--threads", "4", "--keep-alive", "60"),
}


def ask(port: int, number: int) -> None:
    """One after the other, as a client that thinks; on one connection as long as it stays."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with contextlib.closing(connection):
        for _ in range(number):
            connection.request("GET", "/cycles?n=5500")
            assert connection.getresponse().read()
            time.sleep(0.01)


@pytest.mark.parametrize("name", SERVERS)
def test_newer_gunicorn(name: str, system_python: Interpreter, ring_dir: Path) -> None:
    """It polls each connection that it closes, and looks twice at each that it keeps."""
    command = [venv("asgi", system_python), "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "1"]
    command += ["-t", "0", *SERVERS[name], "wsgi:app"]
    with Server(command, environment(ring_dir, GCPRELOAD_MODE="idle", **SETTINGS)) as server:
        (worker,) = server.workers_in_state("ready", ring_dir, 1)

        def collected() -> int:
            return collections_of(by_pid(ring_dir)[worker.pid], "idle")

        found = []
        for _ in range(TRIES):
            before = collected()
            ask(server.port, REQUESTS)
            found.append(collected() - before)
            if found[-1] >= REQUESTS / 2:
                return
        raise AssertionError(f"of {REQUESTS} waits so many were used: {found}")
