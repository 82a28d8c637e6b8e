"""Sentences of the design that fail here, and nowhere else, when they become false."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lib.paths import APPS, LIBRARY
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid, counted, ring_files
from lib.run import environment, run, shared_library, wait_for
from test_concurrent import marks_here
from venvs import Interpreter, venv

ARMED = ("one = listen()", "arm(one)")


# ---- what a call of the program leaves behind ----

CTYPES = """
import ctypes, errno
class PollFd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("got", ctypes.c_short)]
class Event(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("events", ctypes.c_uint), ("fd", ctypes.c_int), ("more", ctypes.c_int)]
class Long(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("rest", ctypes.c_long)]
libc = ctypes.CDLL(None, use_errno=True)
"""
KEEPS = """
def keeps(call):
    ctypes.set_errno(errno.EDOM)
    said = call()
    return [said, ctypes.get_errno() == errno.EDOM]
reading, writing = os.pipe()
sets = (ctypes.c_ulong * 16)()
sets[reading // 64] = 1 << reading % 64
e = select.epoll()
"""
NOT_THE_SERVERS = {
    "poll": "libc.poll(ctypes.byref(PollFd(reading, select.POLLIN, 0)), ctypes.c_ulong(1), 0)",
    "select": "libc.select(reading + 1, sets, None, None, ctypes.byref(Long(0, 0)))",
    "epoll_ctl": "libc.epoll_ctl(e.fileno(), 1, reading, ctypes.byref(Event(1, 0, 0)))",
    "epoll_wait": "libc.epoll_wait(e.fileno(), ctypes.byref(Event()), 1, 0)",
}


@pytest.mark.parametrize("how", NOT_THE_SERVERS)
def test_errno_is_kept_where_it_only_looks(
    system_python: Interpreter, how: str, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(CTYPES, KEEPS)
        assert puppet.do(f"keeps(lambda: {NOT_THE_SERVERS[how]})") == [0, True]
        assert not puppet.frozen()


def test_a_pending_exception_is_kept(
    one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Where an extension module waits with the GIL and one of them pending: its waits are no place
    to do anything in, even on a listening socket."""
    library = shared_library("extension", tmp_path)
    with Puppet(one_of_two_pythons, ring_dir) as puppet:
        puppet.do("one = listen()", f"import ctypes; own = ctypes.PyDLL({str(library)!r})")
        puppet.do(
            "said = []\n"
            "try:\n    own.poll_with_an_exception(one.fileno())\n"
            "except KeyError as error:\n    said = list(error.args)"
        )
        assert not puppet.frozen()
        assert puppet.do("said") == ["kept"]


NATIVE = """
import ctypes, sys; sys.path.insert(0, sys.argv[1])
from puppet import *
one = listen()
sys.exit(ctypes.PyDLL(sys.argv[2]).poll_in_a_native_thread(one.fileno()))
"""


def test_a_foreign_thread_does_not_ask_for_the_gil(
    one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Whoever holds it may wait for that thread."""
    library = shared_library("extension", tmp_path)
    program = [one_of_two_pythons.path, "-c", NATIVE, APPS, library]
    done = run(program, environment(ring_dir))
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_a_finalizer_may_give_uvloop_work(system_python: Interpreter, ring_dir: Path) -> None:
    """The collection is a task of the loop: libuv would not look again before it waits."""
    program = [venv("uvloop", system_python), "-W", "ignore", APPS / "finalizer_loop.py"]
    done = run([*program, "uvloop", "ready"], environment(ring_dir))
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)


def test_an_accept_that_does_not_block_is_not_interrupted(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """It says "nothing yet", which is what its caller expects."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(CTYPES, "one = listen()")
        for name, more in (("accept", ""), ("accept4", ", 0")):
            puppet.do("ctypes.set_errno(0)", "two = listen()")
            assert puppet.do(f"libc.{name}(two.fileno(), None, None{more})") == -1
            assert puppet.do("errno.errorcode[ctypes.get_errno()]") == "EAGAIN"
        assert not puppet.frozen()


# ---- where it acts ----


def test_only_the_thread_that_armed_is_a_place_to_act(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """Another one may wait on the same socket in the middle of a request."""
    elsewhere = "two = threading.Thread(target=arm, args=(one,)); two.start(); two.join()"
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER="accepts:1") as puppet:
        puppet.do("import threading", *ARMED, "accept(one)", elsewhere)
        assert not puppet.frozen()
        puppet.do("arm(one)")
        assert puppet.frozen()


FORK = """
def fork():
    pid = os.fork()
    if not pid:
        arm(one)
        os._exit(0)
    os.waitpid(pid, 0)
    return pid
"""


def test_a_child_of_a_ready_process_becomes_ready_itself(
    python: Interpreter, ring_dir: Path
) -> None:
    """On the socket that it inherited, with a file and counts of its own."""
    with Puppet(python, ring_dir, GCPRELOAD_TRIGGER="auto") as puppet:
        puppet.do(*ARMED, FORK)
        puppet.wait_for("ready")
        pid = puppet.do("fork()")
        child = by_pid(ring_dir, "--all")[pid]
        assert (child.ppid, child.fired) == (puppet.pid, "auto: select")
        assert collections_of(child, "ready") == 1
        assert collections_of(puppet.shown(), "ready") == 1


INTERPRETERS = """
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters
said, told = os.pipe()
"""
IN_SUB = """
import gc, os, select, socket
before = gc.get_threshold(), gc.get_freeze_count()
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen()
select.select([one], [], [], 0)
os.write(%d, b"same" if before == (gc.get_threshold(), gc.get_freeze_count()) else b"other")
"""


def test_the_collector_of_a_subinterpreter_is_left_alone(
    python: Interpreter, ring_dir: Path
) -> None:
    if python.minor < (3, 9):
        pytest.skip("all interpreters of 3.7 and 3.8 share one collector")
    with Puppet(python, ring_dir) as puppet:
        puppet.do(INTERPRETERS, "sub = _interpreters.create()")
        puppet.do(f"_interpreters.run_string(sub, {IN_SUB!r} % told)")
        assert puppet.do("os.read(said, 9).decode()") == "same"


# ---- the ring's file ----


def test_what_has_a_public_name_is_locked(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """And whole, and read-only: nobody sees it otherwise, at any moment."""
    witness = shared_library("rename_witness", tmp_path)
    preload = {"LD_PRELOAD": f"{LIBRARY} {witness}"}
    with Puppet(system_python, ring_dir, extra=preload) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert puppet.errors() == "hidden locked 400 whole\n"


def test_the_dead_are_swept_when_a_ring_is_made(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """A crash loop leaves 32 of them, whether or not anybody ever says "clean"."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
    (one,) = ring_files(ring_dir)
    content = one.read_bytes()
    for number in range(39):
        (one.parent / f"{100000000 + number}.1.{number:08x}").write_bytes(content)
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert len(ring_files(ring_dir)) == 32 + 1


def test_a_command_with_a_gigabyte_behind_it_is_none(
    system_python: Interpreter, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import time", *ARMED)
        puppet.wait_for("ready")
        (ring,) = ring_files(ring_dir)
        with Path(f"{ring}.ctl").open("wb") as file:
            file.write(b"gcpreload-control 1 1 mode=off\n")
            file.truncate(1 << 30)

        def answer() -> str:
            puppet.do("time.sleep(0.1)", "arm(one)")
            return puppet.errors() + puppet.shown().state.replace("ready", "")

        assert "too long" in wait_for("an answer", answer)
        assert puppet.frozen()


# ---- what is counted, and under what name ----


def test_explicit_and_last_collections_are_told_apart(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir) as puppet:
        puppet.do("gc.collect()", *ARMED)
        before = puppet.wait_for("ready")
        assert collections_of(before, "explicit") == 1
        assert collections_of(before, "final") == 0
        puppet.do("gc.collect(); gc.collect(generation=0)")
        assert collections_of(puppet.shown(), "explicit") == 3
        assert puppet.end() == 0
        after = by_pid(ring_dir, "--all")[puppet.pid]
        assert collections_of(after, "explicit") == 3
        assert collections_of(after, "final") >= 1


def test_a_list_put_in_the_place_of_gc_callbacks(python: Interpreter, ring_dir: Path) -> None:
    """It is not the interpreter's: what we would put there would count nothing, or twice."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do("old = gc.callbacks", "gc.callbacks = list(old)", "one = listen()")
        puppet.wait_for("ready", "arm(one)")
        puppet.do("garbage(60000)", "gc.collect()", "gc.disable()")
        assert puppet.shown().counts() == counted(puppet.do("gc.get_stats()"))
        assert puppet.do("len(gc.callbacks)") == puppet.do("len(old)") == 1


# ---- stand back ----

WORKER = """
def worker():
    pid = os.fork()
    if not pid:
        gc.set_threshold(1234)
        arm(one)
        os._exit(0 if gc.get_freeze_count() < HEAP_SIZE else 3)
    return os.waitpid(pid, 0)[1] >> 8
"""


def test_what_the_parent_froze_is_given_back(python: Interpreter, ring_dir: Path) -> None:
    """To a worker that tunes its own collector: it shall find it as without us."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do("one = listen()", WORKER)
        assert puppet.do("worker()") == 0
        assert puppet.frozen()
        assert puppet.shown().state == "parent"


# ---- late Python ----


def test_the_callers_own_python_is_found_by_any_name(ring_dir: Path, tmp_path: Path) -> None:
    """What it was linked with: a host whose Py_InitializeEx is lost would go on without."""
    source = APPS / "renamed_python.c"
    host, plugin, python = (tmp_path / name for name in ("host", "plugin.so", "libsnake.so"))
    shared = ["cc", "-Wall", "-shared", "-fPIC", "-o"]
    for command in (
        ["cc", "-Wall", "-o", host, APPS / "late_host.c", "-ldl"],
        [*shared, python, "-DPYTHON", source],
        [*shared, plugin, source, python, f"-Wl,-rpath,{tmp_path}"],
    ):
        subprocess.run(command, check=True)
    for how in ("local", "global"):
        done = run([host, how, plugin, "script"], environment(ring_dir))
        assert (done.stdout, done.stderr, done.returncode) == (b"initialized 1\n", b"", 0)


def test_what_a_program_that_looks_sees(python: Interpreter, ring_dir: Path) -> None:
    """docs/limits.md: what is frozen is missed by two functions of some, until it is thawed."""
    seen = marks_here(python)
    see = (
        "[any(o is HEAP[0] for o in gc.get_objects()), len(gc.get_referrers(HEAP[0])) > 0]",
        "[gc.get_threshold()[0] == 50000, gc.get_freeze_count() >= HEAP_SIZE]",
        "len(gc.callbacks)",
    )
    with Puppet(python, ring_dir) as puppet:
        assert [puppet.do(one) for one in see] == [[True, True], [False, False], 1]
        puppet.do("one = listen()", "arm(one)")
        shown = puppet.wait_for("ready")
        if not shown.frozen_objects > 0:
            pytest.skip("nothing is frozen on this one")
        assert [puppet.do(one) for one in see] == [[seen, seen], [True, True], 1]
        (ring,) = ring_files(ring_dir)
        ring.with_name(ring.name + ".ctl").write_text("gcpreload-control 1 5 thaw\n")
        puppet.wait_for("observing", "arm(one)")
        assert [puppet.do(one) for one in see] == [[True, True], [False, False], 1]


def test_the_last_finalizers(python: Interpreter, ring_dir: Path) -> None:
    """When the interpreter's modules are gone, there are some that still run."""
    last = (
        "class Last:\n"
        "    def __call__(self, error): pass\n"
        "    def __del__(self, freeze=gc.freeze): freeze()"
    )
    with Puppet(python, ring_dir) as puppet:
        puppet.do("import codecs", last, "codecs.register_error('last', Last())")
        puppet.do("one = listen()", "arm(one)")
        puppet.wait_for("ready")
        assert puppet.end() == 0
