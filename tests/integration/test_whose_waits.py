"""Only where the server's own code waits is a place to act, and wherever that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import Puppet
from lib.run import environment, run, shared_library, wait_for
from lib.waiting import waiting
from venvs import Interpreter, venv

MODES = ["freeze", "idle"]
LATER = 9.9  # seconds from the first wait on, at least


# ---- a C library's, under a mutex that a thread with the GIL wants ----


@pytest.mark.parametrize("listener", [[], ["listener"]], ids=["", "listener"])
def test_a_number_that_was_a_servers(
    server_python: Interpreter, listener: list[str], ring_dir: Path, tmp_path: Path
) -> None:
    library = shared_library("extension", tmp_path)
    program = [venv("uvloop", server_python), "-W", "ignore", APPS / "reused_epoll.py"]
    env = environment(ring_dir, GCPRELOAD_MODE="idle")
    done = run([*program, library, *listener], env)
    assert (done.stdout, done.stderr, done.returncode) == (b"done\n", b"", 0)


OWN_LISTENER = """
import ctypes, signal, threading, time
signal.alarm(60)
free, locked = ctypes.CDLL({path!r}), ctypes.PyDLL({path!r})
def drive():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)
    wants = threading.Thread(target=want)
    wants.start()
    time.sleep(0.02)
    free.poll_under_mutex(one.fileno(), 20)
    wants.join()
def want():
    while not free.is_locked():
        pass
    locked.want_mutex()
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_librarys_own_listener(
    python: Interpreter, mode: str, ring_dir: Path, tmp_path: Path
) -> None:
    """It makes nobody ready there."""
    library = shared_library("extension", tmp_path)
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do(OWN_LISTENER.format(path=str(library)), "began = time.monotonic()")
        puppet.do("one = listen()", *["drive()"] * 3)
        frozen = puppet.frozen()
        assert not frozen or puppet.do("time.monotonic() - began") > LATER


def test_a_librarys_own_listener_in_the_end(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """It may be all that this process serves by: ready, between two bytecodes and not at once."""
    library = shared_library("extension", tmp_path)
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(OWN_LISTENER.format(path=str(library)), "began = time.monotonic()")
        puppet.do("one = listen()", "drive()")
        puppet.wait_for("ready", "garbage()")
        assert puppet.do("time.monotonic() - began") > LATER
        puppet.do(*["drive()"] * 3)


# ---- several listeners, and what is known of them ----

SEVERAL = APPS / "several_listeners.py"


BEFORE = ["none", "second", "accept first", "add first"]
CHANGES = ["closed", "closed in set", "taken out", "another set", "many"]


@pytest.mark.parametrize("what", BEFORE + CHANGES)
def test_idle_collections_go_on(python: Interpreter, what: str, ring_dir: Path) -> None:
    """After a second listener was there for a moment; where an accept that does not block came
    before the wait, as trio's; where the socket listened only in the set; and where what it
    listens on, or waits on, has changed."""
    with waiting(ring_dir, [python.path, SEVERAL, what], GCPRELOAD_MODE="idle") as server:
        assert server.says() == "serves"
        server.becomes_ready()
        before = server.idle_collections()
        wait_for("idle collections", lambda: server.idle_collections() >= before + 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_set_with_a_socket_that_listens_later(
    python: Interpreter, mode: str, ring_dir: Path
) -> None:
    with waiting(ring_dir, [python.path, SEVERAL, "add first"], GCPRELOAD_MODE=mode) as server:
        assert server.says() == "serves"
        server.becomes_ready()
