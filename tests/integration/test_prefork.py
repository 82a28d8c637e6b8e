"""Before os.fork makes workers, what is there is collected and frozen, so that they share it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS, DEADLINE
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid, command, ring_files, wait_for_state
from lib.run import environment, memory_dir, run, shared_library, wait_for
from lib.server import HEAP, gunicorn, private_kilobytes
from venvs import Interpreter

FORK = """
def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""
LISTEN = ("one = listen()", FORK)


def test_fork_after_listen(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*LISTEN, "fork()")
        shown = puppet.shown()
        assert (shown.state, shown.fired) == ("parent", "auto: fork")
        assert collections_of(shown, "prefork") == 1
        assert collections_of(shown, "ready") == 0
        assert shown.frozen_objects >= 20000
        state = puppet.collector()
        assert state["frozen"]
        assert state["thresholds"] == shown.thresholds == shown.thresholds_before
        assert puppet.do("repr(os.fork)") == "<built-in function fork>"


def test_listen_and_fork_in_a_child(python: Interpreter, ring_dir: Path) -> None:
    """As a daemon does, whose first call in its new process is listen()."""
    program = f"import sys; sys.path.insert(0, {str(APPS)!r})\nfrom puppet import *\n{FORK}"
    program += (
        "pid = os.fork()\n"
        "if not pid:\n"
        "    one = listen(); fork()\n"
        "    os._exit(0 if gc.get_freeze_count() >= HEAP_SIZE else 3)\n"
        "sys.exit(os.waitpid(pid, 0)[1] >> 8)\n"
    )
    done = run([python.path, "-c", program], environment(ring_dir))
    assert (done.returncode, done.stderr) == (0, b"")


NO_WORKERS = {
    "fork before listen": "fork()",
    "subprocess": "one = listen(); import subprocess; subprocess.call(['true'])",
    "preexec_fn": "one = listen(); import subprocess; "
    "subprocess.call(['true'], preexec_fn=lambda: None)",
    "close_fds off": "one = listen(); import subprocess; "
    "subprocess.call(['true'], close_fds=False)",
    "system": "one = listen(); os.system('true')",
    "popen": "one = listen(); os.popen('true').close()",
    "posix_spawn": "one = listen(); "
    "os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)"
    " if hasattr(os, 'posix_spawn') else None",
    "a pool without a server": "import multiprocessing; "
    "c = multiprocessing.get_context('fork').Process(target=len, args=('',)); "
    "c.start(); c.join()",
    "multiprocessing's own listener": "from multiprocessing.connection import Listener; "
    "own = Listener(family='AF_UNIX'); fork(); own.close()",
}


@pytest.mark.parametrize("what", NO_WORKERS)
def test_not_every_fork_makes_workers(python: Interpreter, what: str, ring_dir: Path) -> None:
    """A daemon's, a batch job's; and subprocess is fork() itself on 3.7-3.9."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(FORK, *NO_WORKERS[what].split("; "))
        assert not puppet.frozen()
        assert ring_files(ring_dir) == []


DAEMON = """
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
import sys
open(sys.argv[1], "w").write("%d %d" % (gc.get_freeze_count(), os.getpid()))
"""


def test_a_daemons_double_fork(python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Before the application is loaded: nothing is done, nothing is left."""
    program = f"import sys; sys.path.insert(0, {str(APPS)!r})\nfrom puppet import *\n{DAEMON}"
    into = tmp_path / "told"
    done = run([python.path, "-c", program, into], environment(ring_dir))
    assert (done.returncode, done.stderr) == (0, b"")
    frozen, _ = into.read_text().split()
    assert int(frozen) < 20000
    assert ring_files(ring_dir) == []


def test_again_when_a_quarter_is_new(server_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(server_python, ring_dir) as puppet:
        puppet.do("keep(200000)", *LISTEN, "fork()")
        first = puppet.shown()
        puppet.do("fork()", "keep(3000)", "fork()")
        assert collections_of(puppet.shown(), "prefork") == 1
        puppet.do("keep(200000)", "fork()")
        again = puppet.shown()
        assert collections_of(again, "prefork") == 2
        assert again.frozen_objects >= first.frozen_objects + 200000


FINALIZERS = {
    "submits to a pool": """
from concurrent.futures import ThreadPoolExecutor
POOL = ThreadPoolExecutor(2)
POOL.submit(len, "").result()
class Finalizer:
    def __del__(self): POOL.submit(DONE.append, "x")
""",
    "starts a thread": """
import threading
class Finalizer:
    def __del__(self): threading.Thread(target=DONE.append, args=("x",)).start()
""",
}
UNREACHABLE = "gc.collect(); x = Finalizer(); x.me = x; del x"


@pytest.mark.parametrize("what", FINALIZERS)
def test_finalizers_do_not_hang(python: Interpreter, what: str, ring_dir: Path) -> None:
    """Inside fork() the interpreter holds locks that these need."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do("DONE = []", FINALIZERS[what], *LISTEN, UNREACHABLE, "fork()")
        assert puppet.shown().state == "parent"
        puppet.do("import time", "while not DONE: time.sleep(0.01)")
        assert puppet.end() == 0


def memory_of_children(python: Interpreter, **settings: str) -> list[int]:
    """What two children of a pre-forking process own, each after a full collection of the
    interpreter's own: when a quarter as much as there was has come and stayed."""
    program = f"{FORK_WORKER}\nchildren = [worker(), worker()]"
    with memory_dir() as ring_dir, Puppet(python, ring_dir, **settings) as puppet:
        puppet.do("keep(300000)", "one = listen()", program)
        assert puppet.do("[task(child) for child in children]") == [1, 1]
        pids: Any = puppet.do("[child[0] for child in children]")
        found = [private_kilobytes(pid) for pid in pids]
        puppet.do("for child in children: end(child)")
    return found


FORK_WORKER = """
def worker():
    mine, its = socket.socketpair()
    pid = os.fork()
    if pid:
        its.close()
        return pid, mine
    mine.close()
    while its.recv(1) == b"t":
        full = gc.get_stats()[2]["collections"]
        while gc.get_stats()[2]["collections"] == full:
            keep(5000)
        its.sendall(b"x")
    os._exit(0)

def task(child):
    child[1].sendall(b"t")
    return len(child[1].recv(1))

def end(child):
    child[1].sendall(b"e")
    os.waitpid(child[0], 0)
"""


FORK_UNDER_MUTEX = """
import ctypes, signal, threading, time
free, held = ctypes.CDLL({0!r}), ctypes.PyDLL({0!r})
def want():
    while not free.is_locked():
        time.sleep(0.001)
    held.want_mutex()
def fork_under_mutex():
    signal.alarm({1})
    wants = threading.Thread(target=want)
    wants.start()
    status = free.fork_under_mutex()
    wants.join()
    return status
"""


def test_a_fork_of_c_under_a_mutex(python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Another thread holds the GIL and waits for what the forking one holds: nothing waits for
    the GIL there."""
    library = shared_library("extension", tmp_path)
    with Puppet(python, ring_dir) as puppet:
        puppet.do("one = listen()", FORK_UNDER_MUTEX.format(str(library), int(DEADLINE)))
        assert puppet.do("fork_under_mutex()") == 0
        assert not puppet.frozen()


def test_children_share_memory(python: Interpreter) -> None:
    stock = memory_of_children(python, GCPRELOAD_MODE="observe")
    ours = memory_of_children(python)
    assert max(ours) * 2 <= min(stock)


@pytest.mark.parametrize("preload", [True, False])
def test_workers_of_gunicorn(server_python: Interpreter, preload: bool, ring_dir: Path) -> None:
    settings = {"GUNICORN_CMD_ARGS": "--preload"} if preload else {}
    with gunicorn(server_python, ring_dir, **settings) as server:
        workers = wait_for_state(ring_dir, "ready", 2)
        (parent,) = wait_for_state(ring_dir, "parent")
        assert parent.pid == server.pid
        # What the application made at its start is the parent's with --preload only.
        more = min(worker.frozen_objects for worker in workers) - parent.frozen_objects
        assert (more < HEAP // 2) == preload
        assert {p.pid for p in workers} == set(server.workers())
        # A worker's counts begin with what its parent had counted.
        for worker in workers:
            assert sum(part["collections"] for part in worker.inherited) > 0


def test_gunicorn_that_becomes_a_daemon(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """It forks twice before the application is loaded; those are not its workers."""
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    args = f"--daemon --preload --pid {pidfile} --log-file {log}"
    server = gunicorn(system_python, ring_dir, GUNICORN_CMD_ARGS=args)
    done = run(server.command, server.env, cwd=APPS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    try:
        workers = wait_for_state(ring_dir, "ready", 2)
        (parent,) = wait_for_state(ring_dir, "parent")
        assert parent.pid == int(pidfile.read_text())
        assert {p.ppid for p in workers} == {parent.pid}
        assert parent.frozen_objects > 20000
        assert set(by_pid(ring_dir)) == {parent.pid, *(p.pid for p in workers)}
    finally:
        end_daemon(pidfile)


def end_daemon(pidfile: Path) -> None:
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_for("the daemon's end", lambda: not Path(f"/proc/{pid}").exists())


def test_a_parent_that_was_thawed_stays_so(system_python: Interpreter, ring_dir: Path) -> None:
    """What the command says it did is not undone by the next fork."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*LISTEN, "fork()")
        assert puppet.shown().state == "parent"
        command("thaw", str(puppet.pid), "--dir", ring_dir, "--timeout", "0")

        def look() -> bool:
            puppet.do("garbage(5000)")  # it does not wait on its socket: its collections look
            return puppet.shown().state == "observing"

        wait_for("it is thawed", look)
        puppet.do("fork()")
        assert not puppet.frozen()
        assert puppet.shown().state == "observing"
