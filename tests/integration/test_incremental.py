"""The incremental collector of 3.14.0 to 3.14.4, as distributions ship it: it is left as it is,
and only frozen before a fork."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import test_no_harm
import test_prefork
from lib.paths import ROOT, SET_UP_DEADLINE
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid
from lib.run import memory_dir, run
from lib.server import gunicorn, private_kilobytes
from test_doctor import doctor
from test_newer_pythons import PROGRAMS
from venvs import Interpreter, clean_environment


@dataclass(frozen=True)
class Incremental(Interpreter):
    """Its servers are those of the newer interpreters."""

    def environment(self, name: str) -> str:
        return super().environment("newer")


@pytest.fixture(scope="module")
def python() -> Interpreter:
    setup = [ROOT / "scripts" / "setup", "python-incremental"]
    done = run(setup, clean_environment(), deadline=SET_UP_DEADLINE)
    reason = done.stderr.decode().strip().splitlines()
    if done.returncode == 2:
        pytest.skip(reason[-1])
    assert done.returncode == 0, reason
    path = ROOT / "build" / "python-incremental" / "bin" / "python3.14"
    return Incremental(str(path), (3, 14, 3), shared=True, with_gil=True)


@pytest.fixture
def server_python(python: Interpreter) -> Interpreter:
    return python


both = test_no_harm.both


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(python: Interpreter, name: str, both: test_no_harm.Both) -> None:
    both(python.path, *test_no_harm.PYTHON[name])


test_gc_is_not_in_sys_modules = test_no_harm.test_gc_is_not_in_sys_modules
test_descriptors_of_a_ready_server = test_no_harm.test_descriptors_of_a_ready_server
test_finalizers_do_not_hang = test_prefork.test_finalizers_do_not_hang
test_fork_after_listen = test_prefork.test_fork_after_listen


WHY = "the incremental collector is left as it is, but frozen before a fork"


@pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])
def test_it_is_left_as_it_is(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """Its increments would be longer, and more garbage would wait."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        assert puppet.do("sys.version_info[:3]") == list(python.version)
        puppet.do("one = listen()", "keep()")
        shown = puppet.wait_for("observing", "arm(one)")
        assert (shown.mode, shown.reason) == (mode, WHY)
        puppet.do("garbage(200000)", "arm(one)")
        assert puppet.do("gc.get_threshold()") == [2000, 10, 0]
        assert puppet.do("gc.get_freeze_count()") == 0
        assert {part["cause"] for part in puppet.shown().gc} == {"automatic"}


def test_what_is_counted(python: Interpreter, ring_dir: Path) -> None:
    """Garbage exactly; of collections more than gc.get_stats(), which leaves out increments that
    had nothing to do."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE="observe") as puppet:
        puppet.do("one = listen()")
        puppet.wait_for("observing", "arm(one)")
        puppet.do("keep(50000)", "garbage(50000)", "gc.collect()", "gc.collect(1)")
        stats = puppet.do("gc.get_stats()")
        counts = puppet.shown().counts()
        assert [one["collected"] for one in counts] == [one["collected"] for one in stats]
        assert all(ours["collections"] >= its["collections"] for ours, its in zip(counts, stats))
        assert counts[2] == stats[2]
        assert collections_of(puppet.shown(), "explicit") == 2


def memory_of_a_child(python: Interpreter, mode: str) -> int:
    """What it owns after collections of the interpreter's own."""
    with memory_dir() as ring_dir, Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("keep(300000)", "one = listen()", PARENT)
        pid = puppet.do("child()")
        found = private_kilobytes(pid)
        frozen = puppet.do("gc.get_freeze_count()")
        assert (frozen >= 300000) == (mode == "freeze")
    return found


PARENT = """
def child():
    mine, its = socket.socketpair()
    pid = os.fork()
    if not pid:
        mine.close()
        garbage(600000)
        its.sendall(b"x")
        its.recv(1)
        os._exit(0)
    its.close()
    mine.recv(1)
    globals()["open_until_the_end"] = mine
    return pid
"""


def test_children_share_memory(python: Interpreter) -> None:
    """The one that a fork is for may walk the heap."""
    assert memory_of_a_child(python, "freeze") * 2 <= memory_of_a_child(python, "observe")


def test_gunicorn(python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(python, ring_dir, GCPRELOAD_MODE="freeze") as server:
        for worker in server.workers_in_state("observing", ring_dir):
            state = server.ask(worker.pid, "/state")
            assert state["thresholds"] == [2000, 10, 0]
        assert by_pid(ring_dir)[server.pid].state == "parent"
        assert server.terminate() == 0


def test_doctor_says_so(python: Interpreter, ring_dir: Path) -> None:
    tuned, said = doctor("--", python.path, "-m", "http.server", ring_dir=ring_dir)
    assert not tuned
    assert "3.14.3, whose incremental collector is left as it is" in said
