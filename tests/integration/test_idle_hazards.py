"""GCPRELOAD_MODE=idle among other people's threads, locks, memory limits and CPU quotas."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.paths import APPS, DEADLINE
from lib.puppet import Puppet, collections_of
from lib.rings import Process, by_pid, wait_for_state
from lib.run import environment, run, shared_library, wait_for
from lib.server import gunicorn
from lib.servers import own_thresholds
from lib.waiting import waiting
from venvs import Interpreter, venv

IDLE = {"GCPRELOAD_MODE": "idle"}
# What a puppet's server does: it waits on its listener, and has something to collect.
SERVE = """
def cycles(number=8000):
    for _ in range(number):
        cycle = []
        cycle.append(cycle)
def serve():
    cycles()
    select.select([one], [], [], 0.01)
"""
READY = ("one = listen()", "arm(one)", SERVE)


# ---- waits under a mutex of the host ----

DRIVER = """
import ctypes, signal, threading
signal.alarm({alarm})
free, locked = ctypes.CDLL({path!r}), ctypes.PyDLL({path!r})
pipe = os.pipe()
def drive():
    cycles()
    wants = threading.Thread(target=want)
    wants.start()
    free.poll_under_mutex(pipe[0], 20)
    wants.join()
def want():
    while not free.is_locked():
        pass
    locked.want_mutex()
"""


def test_a_driver_that_polls_under_its_mutex(
    python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Another thread waits for the mutex and has the GIL: a hook that takes the GIL there never
    returns."""
    library = shared_library("extension", tmp_path)
    with Puppet(python, ring_dir, **IDLE) as puppet:
        puppet.do(*READY, DRIVER.format(alarm=int(DEADLINE), path=str(library)))
        assert puppet.shown().state == "ready"
        puppet.do("import time", *["time.sleep(0.01)", "drive()"] * 5)


NATIVE = """
import ctypes, gc, select, socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
select.select([listener], [], [], 0)
assert gc.get_freeze_count() > 1000
assert ctypes.CDLL({path!r}).poll_in_native_threads(listener.fileno(), 4) == 0
many = [[] for _ in range(15000)]
for one in many: one.append(one)
del many, one
"""


def test_native_threads_that_poll_at_the_end(
    python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Taking the GIL would end them while the interpreter ends, which C++ does not bear."""
    library = shared_library("extension", tmp_path)
    for _ in range(20 if python.is_system else 5):
        program = [python.path, "-c", NATIVE.format(path=str(library))]
        done = run(program, environment(ring_dir, **IDLE))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---- event loops that must collect themselves ----


def test_a_finalizer_that_waits_under_gevent(
    server_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    marks = tmp_path / "finalized"
    settings = {"app": "gevent_finalizer:app", "kind": "gevent", "APP_FINALIZED": str(marks)}
    with gunicorn(server_python, ring_dir, **settings, workers=1, **IDLE) as server:
        (process,) = server.workers_in_state("ready", ring_dir, 1)
        wait_for("the finalizer", lambda: marks.exists() and marks.read_text() == "x")
        server.get("/connection")
        server.get("/cycles")
        wait_for("the finalizer in an idle collection", lambda: marks.read_text() == "xx")
        assert collections_of(by_pid(ring_dir)[process.pid], "idle") > 0
        assert "BlockingSwitchOutError" not in server.output()
        assert "Traceback" not in server.output()


def test_a_finalizer_that_waits_under_gevent_in_a_request(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """Where no chance comes, memory that grows has it collected in a pending call; meanwhile the
    finalizer has the hub run others."""
    command = [venv("gunicorn", system_python), APPS / "gevent_guard.py"]
    # No automatic collection looks at what is old.
    settings = {"GCPRELOAD_THRESHOLDS": "50000,1000,100", **IDLE}
    with waiting(ring_dir, command, **settings) as server:
        assert server.says() == "b'rollback'"
        assert server.collections("guard") > 0
        assert server.process.stdin
        server.process.stdin.close()
        assert server.end() == 0


def test_a_request_of_another_thread_is_not_stopped(
    server_python: Interpreter, ring_dir: Path
) -> None:
    """gthread's main thread waits while a request computes; others wake it meanwhile."""
    # No automatic one comes in between, however many requests the machine manages.
    settings = {"kind": "gthread", "GCPRELOAD_THRESHOLDS": "500000,keep,keep", **IDLE}
    with gunicorn(server_python, ring_dir, workers=1, **settings) as server:
        server.workers_in_state("ready", ring_dir, 1)
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                server.get("/")

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            assert [server.json("/spin")["collections"] for _ in range(3)] == [0, 0, 0]
        finally:
            stop.set()
            asker.join()


# ---- who never waits, and families ----


def test_who_never_waits_falls_back(python: Interpreter, ring_dir: Path) -> None:
    """A puppet waits in read(2), as Celery's pre-forked workers do."""
    with Puppet(python, ring_dir, **IDLE) as puppet:
        puppet.do(*READY)
        assert puppet.shown().thresholds[0] > own_thresholds(python)[0]

        def look() -> Process | None:
            puppet.do("garbage(100000)")
            shown = puppet.shown()
            return shown if shown.reason else None

        shown = wait_for("the reason", look)
        assert shown.reason == "its waits are not known: using the interpreter's own thresholds"
        assert shown.thresholds == own_thresholds(python)
        puppet.do("import time")
        assert wait_for("an idle collection", lambda: _collected(puppet)).reason is None


def test_one_of_a_family_at_a_time(system_python: Interpreter, ring_dir: Path) -> None:
    """What a brother has locked is not waited for."""
    with Puppet(system_python, ring_dir, **IDLE) as puppet:
        puppet.do(*READY, "import time")
        start = Path(f"/proc/{os.getpid()}/stat").read_text().rsplit(")", 1)[1].split()[19]
        (place,) = ring_dir.glob("gcpreload-*")
        lock = place / f".family.{os.getpid()}.{start}"
        with lock.open("w") as brother:
            fcntl.flock(brother, fcntl.LOCK_EX)
            puppet.do(*["time.sleep(0.01)", "serve()"] * 3)
            shown = wait_for("a refusal", lambda: _refused(puppet, "family"))
            assert collections_of(shown, "idle") == 0
        wait_for("an idle collection", lambda: _collected(puppet))


def _collected(puppet: Puppet) -> Process | None:
    puppet.do("time.sleep(0.01)", "serve()")
    shown = puppet.shown()
    return shown if collections_of(shown, "idle") else None


def _refused(puppet: Puppet, why: str) -> Process | None:
    puppet.do("time.sleep(0.01)", "serve()")
    shown = puppet.shown()
    return shown if shown.refused_chances[why] else None


def test_children_of_a_server_that_preloads(server_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(server_python, ring_dir, GUNICORN_CMD_ARGS="--preload", **IDLE) as server:
        workers = server.workers_in_state("ready", ring_dir)

        def look() -> bool:
            for worker in workers:
                server.ask(worker.pid, "/garbage?n=8000")
            shown = by_pid(ring_dir)
            return all(collections_of(shown[worker.pid], "idle") >= 2 for worker in workers)

        wait_for("idle collections in both", look)
        (parent,) = wait_for_state(ring_dir, "parent")
        assert collections_of(parent, "idle") == 0


def test_a_full_collection_where_memory_has_grown(python: Interpreter, ring_dir: Path) -> None:
    """At a wait: what holds the memory may be old, and be garbage."""
    with Puppet(python, ring_dir, **IDLE) as puppet:
        puppet.do(*READY, "import time", "kept = []")

        def look() -> bool:
            puppet.do("kept.append((heap(6000), bytearray(b'x') * (4 << 20)))")
            puppet.do("time.sleep(0.01)", "serve()")
            parts = puppet.shown().gc
            return any(part["generation"] == 2 and part["cause"] == "idle" for part in parts)

        wait_for("a full collection", look)
        assert collections_of(puppet.shown(), "guard") == 0


# ---- real cgroups ----


@contextlib.contextmanager
def cgroup(controller: str, **files: str) -> Iterator[Path]:
    """A group of version 2 or 1 below our own, with limits: a file of each version."""
    base = Path("/sys/fs/cgroup")
    version = 2 if (base / "cgroup.controllers").exists() else 1
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    parent = base if version == 2 else base / controller
    parent /= own.get("" if version == 2 else controller, "/").lstrip("/")
    group = parent / f"gcpreload-test-{os.getpid()}"
    name, value = files[f"v{version}"].split("=")
    try:
        group.mkdir()
        (group / name).write_text(value)
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"a cgroup with a limit cannot be made here: {error}")
    try:
        yield group
    finally:
        group.rmdir()


def inside(group: Path, python: Interpreter) -> list[str | Path]:
    enter = 'echo $$ >"$0"/cgroup.procs && exec "$@"'
    return ["sh", "-c", enter, group, python.path, APPS / "puppet.py"]


def test_near_a_memory_limit(system_python: Interpreter, ring_dir: Path) -> None:
    """The interpreter's own thresholds, until there is room again."""
    limit = 192 << 20
    files = {"v1": f"memory.limit_in_bytes={limit}", "v2": f"memory.max={limit}"}
    with (
        cgroup("memory", **files) as group,
        Puppet(system_python, ring_dir, program=inside(group, system_python), **IDLE) as puppet,
    ):
        puppet.do(*READY, "import time", "serve()")
        raised = puppet.shown().thresholds[0]
        assert raised > 700
        puppet.do(f"block = bytearray(b'x') * {int(limit * 0.88)}")

        def look(guard: str) -> Process | None:
            puppet.do("time.sleep(0.05)", "serve()")
            shown = puppet.shown()
            return shown if shown.guard == guard else None

        shown = wait_for("the guard", lambda: look("limit"))
        assert shown.thresholds == own_thresholds(system_python)
        assert "memory limit" in shown.reason
        puppet.do("del block")
        shown = wait_for("the guard's end", lambda: look("none"))
        assert shown.thresholds[0] > 700


def test_a_cpu_quota_pauses_idle_work(system_python: Interpreter, ring_dir: Path) -> None:
    """What is collected while waiting comes out of the requests' quota."""
    files = {"v1": "cpu.cfs_quota_us=20000", "v2": "cpu.max=20000 100000"}
    with (
        cgroup("cpu", **files) as group,
        Puppet(system_python, ring_dir, program=inside(group, system_python), **IDLE) as puppet,
    ):
        puppet.do(*READY, "import time", "serve()")
        work = "ends = time.process_time() + 0.05\nwhile time.process_time() < ends: pass"
        wait_for("a pause", lambda: puppet.do(work) or _refused(puppet, "throttled"))
