"""Marks in programs that fork, exec and end meanwhile, that have no room for a marker, and that
have other tools in their allocator."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.marker import (
    CRASH,
    LIVING,
    SPIN,
    WAIT,
    Latch,
    Marked,
    is_there,
    markers,
    old_garbage,
    old_garbage_goes,
    stat_of,
)
from lib.paths import DEADLINE
from lib.run import environment, wait_for
from lib.server import Server, children
from lib.users import nobodys_puppet
from test_idle_hazards import cgroup, inside
from venvs import Interpreter, venv

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def marked(server_python: Interpreter, ring_dir: Path) -> Iterator[Marked]:
    with Marked(server_python, ring_dir) as puppet:
        puppet.do("before_marks = allocator()")
        yield puppet.becomes_ready()


@pytest.fixture
def marked_once(system_python: Interpreter, ring_dir: Path) -> Iterator[Marked]:
    with Marked(system_python, ring_dir) as puppet:
        puppet.do("before_marks = allocator()")
        yield puppet.becomes_ready()


# ---- forks ----

FORKS = """
import time
def child(deadline):
    arm(one)
    first = os.listdir("/proc/self/task"), allocator() == before_marks
    global OLD
    OLD = None
    until = time.monotonic() + deadline
    while sum(seen() is not None for seen in SEEN) and time.monotonic() < until:
        one_collection()
        arm(one)
    return [*first, sum(seen() is not None for seen in SEEN)]

def fork(deadline):
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(w, json.dumps(child(deadline)).encode())
        finally:
            os._exit(0)
    os.close(w)
    with os.fdopen(r) as file:
        said = file.read()
    assert os.waitpid(pid, 0) == (pid, 0)
    return json.loads(said)
"""


def test_a_fork_during_a_mark(marked: Marked) -> None:
    """The child has nothing of it, and marks of its own later; the parent's goes on."""
    old_garbage(marked)
    marked.do(FORKS)
    marker = marked.hold()
    os.kill(marker, signal.SIGSTOP)
    marked.latch.go_on()
    tasks, plain, left = marked.do(f"fork({DEADLINE / 2})")
    assert len(tasks) == 1
    assert plain, "an allocator's wrapper in the child"
    assert left == 0, "the child's own marks"
    assert marked.do(LIVING) == 3000
    assert markers(marked.pid) == [marker]
    os.kill(marker, signal.SIGCONT)
    marked.release(marker)
    old_garbage_goes(marked)
    assert marked.failed() == []


def test_a_fork_in_the_middle_of_a_sweep(marked: Marked) -> None:
    """What was found is the parent's; the child's heap has it, too, and sweeps nothing twice."""
    old_garbage(marked)
    marked.do(FORKS)
    marked.release(marked.hold_after("OLD = None"))
    marked.do("one_collection()")  # at its end the result is taken
    assert marked.do(LIVING) == 3000
    assert marked.do(f"fork({DEADLINE / 2})")[1:] == [True, 0]
    assert marked.do(LIVING) == 3000
    marked.until("the parent's sweep", lambda: marked.do(LIVING) == 0)
    assert marked.failed() == []


def test_the_thread_that_began_a_mark_ends(marked: Marked) -> None:
    """The marker is a child of the process."""
    old_garbage(marked)
    marked.release(marked.hold())  # it is the next collection that begins another
    marked.latch.set(WAIT)
    work = "def work():\n while not stop.is_set(): one_collection()"
    marked.do("import threading", "stop = threading.Event()", work)
    marked.do("thread = threading.Thread(target=work)", "thread.start()")
    wait_for("a marker", marked.latch.came)
    marked.do("stop.set()", "thread.join()")
    (marker,) = markers(marked.pid)
    wait_for("a moment of its sleep", lambda: stat_of(marker)[0] == "S")
    marked.release(marker)
    old_garbage_goes(marked)
    assert marked.failed() == []


# ---- another program ----


def test_exec_during_a_mark(marked: Marked) -> None:
    """The new program has no child, and connections that are not for it are closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        marked.do(f"peer = socket.create_connection({listener.getsockname()})")
        with listener.accept()[0] as other:
            other.settimeout(DEADLINE)
            marker = marked.hold()
            marked.tell("os.execv('/bin/cat', ['cat'])")
            assert other.recv(1) == b"", "FIN"
            wait_for("the new program", lambda: b"cat" in cmdline(marked.pid))
            assert children(marked.pid) == []
            assert stat_of(marker) == []
    assert marked.end() == 0


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_exec_that_fails_during_a_mark(marked_once: Marked) -> None:
    """Only the mark is lost."""
    old_garbage(marked_once)
    marker = marked_once.hold()
    said = "def fails():\n try: os.execv('/no/such', ['a'])\n except OSError as e: return e.errno"
    assert marked_once.do(said, "fails()") == 2
    assert stat_of(marker) == []
    marked_once.latch.go_on()
    old_garbage_goes(marked_once)


# ---- the end of the program ----

ENDS = {
    "os._exit": "os._exit(0)",
    "SIGTERM": "os.kill(os.getpid(), 15)",
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "abort": "os.abort()",
}


@pytest.fixture
def reaper() -> Iterator[None]:
    """Orphans come to this process, as in a container they come to its first one."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.usefixtures("reaper")
@pytest.mark.parametrize("how", ENDS)
def test_an_orphan_ends_by_itself(how: str, marked_once: Marked) -> None:
    """Before it has finished, and as one that nothing happened to."""
    marked_once.do("import resource", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))")
    marked_once.do("keep(100000)")
    marked_once.marks_go_on()
    marker = marked_once.hold()
    marked_once.tell(ENDS[how])
    marked_once.process.wait(DEADLINE)
    assert is_there(marker)
    # It goes on from the first call; at the second it would loop.
    marked_once.latch.set(SPIN, 2)
    ended, status = wait_for("the orphan", lambda: reaped(marker))
    assert (ended, status) == (marker, 0)
    assert marked_once.latch.came() == 0


def reaped(pid: int) -> tuple[int, int] | None:
    ended = os.waitpid(pid, os.WNOHANG)
    return ended if ended[0] else None


# What the program does, with a marker that is out or with one that has ended, and then.
LAST_THINGS = {
    "marking": (False, "0"),
    "marked": (True, "sys.exit()"),
    "taken": (True, "one_collection()"),
    "thread": (False, "threading.Thread(target=one_collection).start(); sys.exit()"),
}


@pytest.mark.parametrize("phase", LAST_THINGS)
def test_the_program_ends(phase: str, marked: Marked) -> None:
    """It leaves nobody behind, and all that was garbage is finalized as without a mark."""
    released, last = LAST_THINGS[phase]
    old_garbage(marked)
    marked.do("import sys, threading", "class Last:\n def __del__(self): os.write(2, b'last\\n')")
    marked.do("OLD[0].last = Last()")
    marker = marked.hold_after("OLD = None")
    if released:
        marked.release(marker)
    marked.tell(last)
    assert marked.end() == 0
    assert stat_of(marker) == []
    assert marked.errors().count("last\n") == 1
    assert "Error" not in marked.errors()


# ---- no room ----


@pytest.fixture
def nobodys(system_python: Interpreter, ring_dir: Path) -> Marked:
    return Marked(system_python, ring_dir, program=nobodys_puppet(system_python, ring_dir))


LIMITED = """
import resource, threading
def limit(what, number):
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (hard if number is None else number, hard))

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))

class Large(Cycle):
    def __init__(self):
        self.me = self
        self.payload = bytearray(4000)

def churn(number, window):
    '''Garbage that has survived the young collections.'''
    living = []
    most = 0
    for i in range(number):
        living.append(Large())
        if len(living) > window:
            living = living[window // 2:]
        if i % 1000 == 0:
            most = max(most, status("VmRSS"))
    return most >> 20
"""


def churned(puppet: Marked) -> None:
    """1200 MB of it."""
    assert puppet.do("churn(300000, 4000)") < 600


def test_no_process_for_a_marker(nobodys: Marked) -> None:
    with nobodys as puppet:
        puppet.becomes_ready().do(LIMITED)
        puppet.do("resource.setrlimit(resource.RLIMIT_CORE, (0, 0))")
        puppet.marks_go_on()
        puppet.do("limit(resource.RLIMIT_NPROC, 1)")
        puppet.until("a clone that fails", lambda: puppet.log("a mark cannot begin: Resource"))
        churned(puppet)
        puppet.do("limit(resource.RLIMIT_NPROC, None)")
        old_garbage(puppet)
        old_garbage_goes(puppet)


def test_no_address_space_for_a_mark(system_python: Interpreter, ring_dir: Path) -> None:
    """Room for the program, and none for what the marker would write into."""
    with Marked(system_python, ring_dir) as puppet:
        puppet.do(LIMITED, "BALLAST = b'x' * (160 << 20)", "size = status('VmSize')")
        puppet.becomes_ready().marks_go_on()
        puppet.latch.set(CRASH)
        puppet.until("a failure", puppet.failed)  # no mark is out for a second
        puppet.do("limit(resource.RLIMIT_AS, size + (16 << 20))")
        puppet.until("no memory", lambda: puppet.log("cannot begin: Cannot allocate memory"))
        for _ in range(20):
            puppet.do("one_collection()")
        puppet.latch.go_on()
        puppet.do("limit(resource.RLIMIT_AS, None)")
        old_garbage(puppet)
        old_garbage_goes(puppet)


def test_memory_while_every_marker_fails(marked_once: Marked) -> None:
    """By collections of everything, as without marks."""
    puppet = marked_once
    puppet.do(LIMITED)
    puppet.marks_go_on()
    puppet.latch.set(CRASH)
    puppet.until("a failure", puppet.failed)
    churned(puppet)


def test_memory_while_a_marker_hangs(marked_once: Marked) -> None:
    """It is given up long before its time is over."""
    puppet = marked_once
    puppet.do(LIMITED)
    puppet.marks_go_on()
    marker = puppet.hold()
    churned(puppet)
    assert puppet.log("a mark came to nothing: memory grows")
    wait_for("its end", lambda: not is_there(marker))
    puppet.latch.go_on()
    before = puppet.swept()
    puppet.until("a mark later", lambda: puppet.swept() > before, "churn(20000, 100)")


USED = ("memory.current", "memory.usage_in_bytes")


def test_a_memory_limit_comes_near_during_a_mark(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """The copies of pages that a marker costs are given back before the kernel ends somebody."""
    limit = 192 << 20
    files = {"v1": f"memory.limit_in_bytes={limit}", "v2": f"memory.max={limit}"}
    with (
        cgroup("memory", **files) as group,
        Marked(system_python, ring_dir, program=inside(group, system_python)) as puppet,
    ):
        puppet.do("blocks = [bytearray(b'x') * (90 << 20)]")
        puppet.becomes_ready().marks_go_on()
        marker = puppet.hold()
        (used,) = [p for p in map(group.joinpath, USED) if p.exists()]
        while int(used.read_text()) < 0.96 * limit:
            puppet.do("blocks.append(bytearray(b'x') * (1 << 20))")
        puppet.until("an end", lambda: puppet.log("came to nothing: the memory limit is near"))
        wait_for("its end", lambda: not is_there(marker))
        puppet.latch.go_on()
        puppet.do("del blocks")
        puppet.marks_go_on()


# ---- PID 1 ----


def test_gunicorn_as_the_first_process(system_python: Interpreter, ring_dir: Path) -> None:
    """It reaps the marker of a worker that was killed, and has nothing to say about it."""
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no namespace of processes can be made here")
    latch = Latch(ring_dir)
    command = [*namespace, venv("gunicorn", system_python), "-m", "gunicorn", "-w", "1"]
    command += ["-b", "127.0.0.1:0", "marker_wsgi:app"]
    settings = {"GCPRELOAD_MODE": "concurrent", "GCPRELOAD_GROWTH": "0", "GCPRELOAD_LOG": "debug"}
    env = {**environment(ring_dir, **settings), **latch.environment}
    with Server(command, env) as server, ended_inside(server, latch):
        (first,) = children(server.pid)
        (worker,) = children(first)
        latch.set(WAIT)
        wait_for("a marker", lambda: server.get("/cycles") and latch.came())
        (marker,) = markers(worker)
        os.kill(worker, signal.SIGKILL)
        wait_for("a stranger", lambda: marker in children(first))
        latch.go_on()
        wait_for("its end", lambda: stat_of(marker) == [])
        wait_for("another worker", lambda: server.output().count("Booting worker") == 2)
        assert server.get("/").startswith("hello")
        server.get("/cycles")
        said = re.findall(r"\(pid: ?(\d+)\)", server.output().split("Booting")[1])
        assert len(said) == 1, server.output()
        (died,) = re.findall(r"pid: ?(\d+)\) was sent", server.output())
        assert f"Booting worker with pid: {died}" in server.output()


@contextlib.contextmanager
def ended_inside(server: Server, latch: Latch) -> Iterator[None]:
    """unshare hands no signal on."""
    try:
        yield
    finally:
        latch.go_on()
        for pid in children(server.pid):
            os.kill(pid, signal.SIGTERM)


# ---- other tools in the allocator ----


def test_tracemalloc_starts_and_stops_during_marks(marked: Marked) -> None:
    """And nothing of ours is left in the allocator."""
    marked.do("import tracemalloc")
    marked.marks_go_on()
    for verb in ("start", "stop") * 2:
        marker = marked.hold()
        assert marked.do("allocator() != before_marks")
        marked.do(f"tracemalloc.{verb}()", "garbage(10)")
        marked.release(marker)
        marked.do("one_collection()", "one_collection()")
    assert not marked.do("tracemalloc.is_tracing()")
    old_garbage(marked)
    old_garbage_goes(marked)
    marked.do("gc.disable()", "gc.collect()")  # which makes a mark needless
    assert marked.do("allocator() == before_marks")


def test_tracemalloc_stops_during_many_marks(marked_once: Marked) -> None:
    """Each takes a wrapper of ours away, and we cannot know whether for good."""
    marked_once.do("import tracemalloc")
    for _ in range(10):
        marked_once.marks_go_on(1)
        marked_once.do("tracemalloc.start()")
        marked_once.marks_go_on(1)
        marker = marked_once.hold()
        marked_once.do("tracemalloc.stop()")
        marked_once.release(marker)
    old_garbage(marked_once)
    old_garbage_goes(marked_once)
    assert not marked_once.log("a mark cannot begin")


def test_a_mark_under_another_allocator_is_not_trusted(marked_once: Marked) -> None:
    """What was freed meanwhile is not known."""
    old_garbage(marked_once)
    marked_once.do("import tracemalloc")
    marker = marked_once.hold_after("OLD = None")
    marked_once.do("tracemalloc.start()")
    marked_once.release(marker)
    marked_once.until("a discarded mark", lambda: marked_once.log("the allocator was replaced"))
    assert marked_once.do(LIVING) == 3000
    marked_once.until("the next one", lambda: marked_once.do(LIVING) == 0)
    marked_once.do("tracemalloc.stop()")
    marked_once.marks_go_on()


PUT_TOOL = """
def put_tool(ctx):
    fields = (name for name, _ in Allocator._fields_)
    one = Allocator(**dict(zip(fields, [ctx, *before_marks[1:]])))
    ctypes.pythonapi.PyMem_SetAllocator(2, ctypes.byref(one))
"""


def test_no_place_above_other_tools(marked_once: Marked) -> None:
    """Each a new one, until there are too many: no mark is tried then, and one comes when it is
    gone. No failure: those are tried ever more seldom."""
    marked_once.do(PUT_TOOL)
    for ctx in range(1, 8):
        marked_once.marks_go_on(1)
        marked_once.do(f"put_tool({ctx})")
    marked_once.marks_go_on(1)
    marked_once.do("put_tool(8)")
    told = "no mark until one of the tools in the allocator is gone"
    marked_once.until("that", lambda: marked_once.log(f"{told}|cannot begin"))
    assert not marked_once.log("cannot begin")
    marked_once.do("put_tool(before_marks[0])")
    marked_once.marks_go_on(1)
    assert len(marked_once.log(told)) == 1


@pytest.mark.parametrize("name", ["debug", "malloc"])
def test_allocators(name: str, server_python: Interpreter, ring_dir: Path) -> None:
    with Marked(server_python, ring_dir, extra={"PYTHONMALLOC": name}) as puppet:
        puppet.do("before_marks = allocator()")
        old_garbage(puppet.becomes_ready())
        marker = puppet.hold()
        puppet.do("[[] for _ in range(1000)]", "OLD.pop()")
        puppet.release(marker)
        old_garbage_goes(puppet)
        assert puppet.failed() == []
