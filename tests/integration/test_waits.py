"""What a server's wait comes back with after the library has collected in it: what it would have
had without, and nothing else."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.run import Completed, environment, run
from lib.waiting import connect, waiting
from venvs import Interpreter, venv

MODES = ["freeze", "idle"]
FOR_CLIENTS = APPS / "waits_for_clients.py"
KINDS = [
    "select",
    "select of two",
    "poll",
    "poll of two",
    "epoll",
    "epoll for ever",
    "accept",
    "accept with a time-out",
    "selector",
]
ROUNDS = 50  # in one of so many waits a collection is due and nothing in its way


def waits_for_its_client(python: Interpreter, kind: str, mode: str, ring_dir: Path) -> None:
    """Who comes when the wait has begun, and the collection at readiness is over."""
    command = [python.path, FOR_CLIENTS, kind, "1"]
    with waiting(ring_dir, command, GCPRELOAD_MODE=mode) as server:
        port = server.port()
        server.becomes_ready()
        assert server.says(0.03) is None, "it came back by itself"
        connect(port)
        assert server.says() == "client"
        assert server.end() == 0


@pytest.mark.parametrize("mode", MODES)
def test_the_first_wait(python: Interpreter, mode: str, ring_dir: Path) -> None:
    waits_for_its_client(python, "select", mode, ring_dir)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_the_first_wait_of_each_kind(
    one_of_two_pythons: Interpreter, kind: str, mode: str, ring_dir: Path
) -> None:
    waits_for_its_client(one_of_two_pythons, kind, mode, ring_dir)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "accept"])
def test_a_wait_with_an_idle_collection(
    one_of_two_pythons: Interpreter, kind: str, ring_dir: Path
) -> None:
    """Where it may collect, in mode idle, at each of many waits. A blocking accept is none."""
    command = [one_of_two_pythons.path, FOR_CLIENTS, kind, str(ROUNDS)]
    with waiting(ring_dir, command, GCPRELOAD_MODE="idle") as server:
        port = server.port()
        for _ in range(ROUNDS):
            assert server.says(0.03) is None, "it came back by itself"
            connect(port)
            assert server.says() == "client"
            if server.idle_collections() >= 3:
                return
        raise AssertionError("no idle collection in any wait")


# ---- loops that look at their queues after each wait ----

SELECTORS = ["SelectSelector", "PollSelector", "EpollSelector"]


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("where", ["ready", "idle"])
def test_a_finalizer_wakes_asyncio(
    python: Interpreter, where: str, selector: str, ring_dir: Path
) -> None:
    """No timer is pending and nothing else comes: the wait has no end."""
    env = environment(ring_dir, GCPRELOAD_MODE="idle" if where == "idle" else "freeze")
    command = [python.path, "-W", "ignore", APPS / "finalizer_loop.py", selector, where]
    done = run(command, env)
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)


@pytest.mark.parametrize("where", ["ready", "idle"])
def test_a_finalizer_wakes_trio(system_python: Interpreter, where: str, ring_dir: Path) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE="idle" if where == "idle" else "freeze")
    done = run([venv("trio", system_python), APPS / "finalizer_trio.py", where], env)
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)


# ---- signals ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["signal", "callback"])
def test_a_handler_raises_out_of_the_first_wait(
    python: Interpreter, what: str, mode: str, ring_dir: Path
) -> None:
    """As Ctrl-C's. In a callback on gc.callbacks its exception would be printed and forgotten."""
    env = environment(ring_dir, GCPRELOAD_MODE=mode)
    done = run([python.path, APPS / "idle_waits.py", what], env)
    assert (done.stdout, done.stderr, done.returncode) == (b"true", b"", 0)


@pytest.mark.parametrize("mode", MODES)
def test_a_finalizer_that_forks(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """What is kept off during the collection is not kept off in the child, nor after it."""
    env = environment(ring_dir, GCPRELOAD_MODE=mode)
    keeps_its_signals(run([python.path, APPS / "waits_that_fork.py", "fork"], env))


def keeps_its_signals(done: Completed[bytes]) -> None:
    own = [int(signal.SIGUSR2)]
    assert done.stdout.decode().splitlines() == [f"child {own}", f"server {own}"]
    assert (done.stderr, done.returncode) == (b"", 0)


@pytest.mark.parametrize("what", ["program", "thread"])
def test_a_finalizer_that_starts_something(
    system_python: Interpreter, what: str, ring_dir: Path
) -> None:
    """A child that nobody can end by SIGTERM; a thread whose children cannot be, as long as it
    lives."""
    done = run([system_python.path, APPS / "waits_that_fork.py", what], environment(ring_dir))
    keeps_its_signals(done)


# ---- what cannot be read ----

BAD_POINTERS = APPS / "bad_pointers.py"


@pytest.mark.parametrize("mode", MODES)
def test_a_bad_pointer_is_no_more_than_an_error(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path
) -> None:
    command = [one_of_two_pythons.path, BAD_POINTERS]
    stock = run(command, environment())
    ours = run(command, environment(ring_dir, GCPRELOAD_MODE=mode))
    *lines, last = ours.stdout.decode().splitlines()
    assert len(lines) == 16
    assert all(line.endswith("-1 EFAULT") for line in lines), lines
    assert lines == stock.stdout.decode().splitlines()[:-1]
    assert last == "frozen True"
    assert (ours.stderr, ours.returncode) == (b"", 0)


@pytest.mark.parametrize("what", ["select for a time", "ppoll for a time"])
def test_a_bad_time_out_is_what_libc_makes_of_it(
    system_python: Interpreter, what: str, ring_dir: Path
) -> None:
    """glibc reads it itself since 2.32, and ends the program."""
    command = [system_python.path, BAD_POINTERS, what]
    stock = run(command, environment())
    ours = run(command, environment(ring_dir))
    shown = [done.stdout.replace(b"True", b"False") for done in (ours, stock)]
    assert shown[0] == shown[1]
    assert ours.returncode == stock.returncode
