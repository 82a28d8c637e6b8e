"""Processes that are hard to reach, and what is said of those where not all is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.puppet import Puppet
from lib.rings import Process, by_pid, counted
from lib.run import environment, run, wait_for
from test_concurrent import marks_here
from venvs import Interpreter

ARMED = ("one = listen()", "arm(one)")

BLOCKED = """
import gc, json, os, sys, threading
keep = [[i] for i in range(50000)]
own = gc.get_threshold()
def work():
    while {going}:
        for _ in range(2000):
            cycle = []
            cycle.append(cycle)
    print(json.dumps([gc.get_freeze_count() >= 50000, gc.get_threshold()[0] > own[0]]), flush=True)
    os._exit(0)
worker = threading.Thread(target=work)
worker.start()
worker.join()
"""


def test_a_main_thread_that_blocks(python: Interpreter, ring_dir: Path) -> None:
    """gRPC's servers: it runs no pending call, so what is due is done in a collection."""
    going = "gc.get_freeze_count() < 50000 or gc.get_threshold() == own"
    program = [python.path, "-c", BLOCKED.format(going=going)]
    done = run(program, environment(ring_dir, GCPRELOAD_TRIGGER="delay:1"))
    assert (done.stdout, done.stderr, done.returncode) == (b"[true, true]\n", b"", 0)


def test_one_that_only_observes(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    going = f"not any(len(files) for _, _, files in os.walk({str(ring_dir)!r}))"
    program = [one_of_two_pythons.path, "-c", BLOCKED.format(going=going)]
    done = run(program, environment(ring_dir, GCPRELOAD_MODE="observe"))
    assert (done.stdout, done.stderr, done.returncode) == (b"[false, false]\n", b"", 0)


WORKER = """
import gc, json, os, select, socket, sys
heap = [[i, {}] for i in range(200000)]
def private():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))
pid = os.fork()
if not pid:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    select.select([listener], [], [], 0)
    if sys.argv[1:]:
        gc.collect()
    print(json.dumps([gc.get_freeze_count() >= 200000, private()]), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("mode", ["freeze", "idle"])
def test_a_worker_of_a_host_that_we_do_not_know(
    python: Interpreter, mode: str, ring_dir: Path
) -> None:
    """Its parent never had a listening socket (gunicorn --reuse-port): what it inherited is frozen
    as it is, and stays shared."""

    def private(*words: str, **settings: str) -> int:
        done = run([python.path, "-c", WORKER, *words], environment(ring_dir, **settings))
        frozen, kilobytes = eval(done.stdout.decode().replace("true", "1").replace("false", "0"))
        assert frozen == (settings["GCPRELOAD_MODE"] != "observe")
        return int(kilobytes)

    whole = private("collect", GCPRELOAD_MODE="observe")
    assert private(GCPRELOAD_MODE=mode) * 4 <= whole


def test_callbacks_that_were_cleared(python: Interpreter, ring_dir: Path) -> None:
    """Counting goes on after the next look, and nothing is missed."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        puppet.do("gc.callbacks.clear()", "garbage(60000)", "gc.collect()")
        wait_for("the callback", lambda: puppet.do("arm(one)", "len(gc.callbacks)") == 1)
        puppet.do("garbage(60000)", "gc.collect()", "gc.disable()")
        assert puppet.shown().counts() == counted(puppet.do("gc.get_stats()"))


@pytest.mark.parametrize("mode", ["freeze", "idle"])
def test_what_looks_at_all_objects_is_told(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """Where it does not see all."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("import sys, types", "sys.modules['objgraph'] = types.ModuleType('objgraph')")
        puppet.do(*ARMED)
        told = "do not show frozen objects" in (puppet.wait_for("ready").reason or "")
        assert told == (not marks_here(python))


def test_sub_interpreters_are_not_tuned(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import _xxsubinterpreters as sub", "kept = sub.create()", *ARMED)
        assert "not the sub-interpreters" in puppet.wait_for("ready").reason


def test_a_server_whose_waits_are_not_known(system_python: Interpreter, ring_dir: Path) -> None:
    """That is something else than one that never waits."""
    settings = {"GCPRELOAD_MODE": "idle", "GCPRELOAD_TRIGGER": "delay:0"}
    with Puppet(system_python, ring_dir, **settings) as puppet:

        def look() -> Process | None:
            puppet.do("garbage(100000)")
            shown = by_pid(ring_dir).get(puppet.pid)
            return shown if shown and shown.reason else None

        assert "its waits are not known" in wait_for("the reason", look).reason


FORK_BESIDE_A_THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
def worker():
    pid = os.fork()
    if not pid:
        one = listen()
        arm(one)
        os._exit(0 if gc.get_freeze_count() >= HEAP_SIZE else 3)
    return os.waitpid(pid, 0)[1] >> 8
"""


def test_a_worker_of_a_parent_with_threads(python: Interpreter, ring_dir: Path) -> None:
    """Whose code waits is asked there without the dynamic loader's lock, which a thread of the
    parent's may have held at the fork."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(FORK_BESIDE_A_THREAD)
        assert puppet.do("worker()") == 0


ACCEPTS = """
import ctypes, gc, json, os, socket, threading
keep = [[i] for i in range(50000)]
own = gc.get_threshold()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
def serve():
    while True:
        listener.accept()[0].close()
def work():
    for _ in range(3):
        socket.create_connection(listener.getsockname()).close()
    while gc.get_freeze_count() < 50000 or gc.get_threshold() == own:
        for _ in range(2000):
            cycle = []
            cycle.append(cycle)
    os.write(1, b"ready")
    os._exit(0)
for target in (serve, work):
    threading.Thread(target=target, daemon=True).start()
ctypes.CDLL(None).sleep(1000)
"""


@pytest.mark.parametrize("mode", ["freeze", "concurrent"])
def test_connections_that_other_threads_accept(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path
) -> None:
    """As servers in other languages do: no wait of theirs is a place to act."""
    settings = {"GCPRELOAD_MODE": mode, "GCPRELOAD_TRIGGER": "accepts:3"}
    done = run([one_of_two_pythons.path, "-c", ACCEPTS], environment(ring_dir, **settings))
    assert (done.stdout, done.stderr, done.returncode) == (b"ready", b"", 0)
