"""Interpreters newer than this machine's: those of a Debian sid, statically linked.

Most tests are those of the machine's own interpreters, run here on others.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import test_fork_servers
import test_hazards
import test_idle
import test_no_harm
import test_no_harm_more
import test_prefork
import test_servers
import test_slow
import test_startup
import test_subinterpreters
import test_trace
from lib.debian import interpreter, other_debian
from lib.puppet import Puppet, collections_of
from lib.servers import KINDS, Kind
from test_servers import Pair
from test_trace import Trace
from venvs import Interpreter


@pytest.fixture(scope="module")
def sid() -> Path:
    return other_debian("debian-sid")


@pytest.fixture(scope="module", params=["python3.13", "python3.14", "python3.15"])
def python(
    request: pytest.FixtureRequest, sid: Path, tmp_path_factory: pytest.TempPathFactory
) -> Interpreter:
    return interpreter(sid, request.param, tmp_path_factory.mktemp("inside"))


@pytest.fixture(scope="module")
def server_python(python: Interpreter) -> Interpreter:
    return python


def kind(name: str) -> Kind:
    (found,) = (kind for kind in KINDS if kind.name == name)
    return found


both = test_no_harm.both
into = test_trace.into


# ---- no harm ----


PROGRAMS = [
    "pass",
    "isolated",
    "dev",
    "look",
    "garbage",
    "children",
    "fork",
    "multiprocessing",
    "threads",
    "error",
    "crash",
    "dev-children",
    "interactive",
]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(python: Interpreter, name: str, both: test_no_harm.Both) -> None:
    both(python.path, *test_no_harm.PYTHON[name])


@pytest.mark.parametrize("kind", ["forkserver", "manager", "preexec_fn"])
def test_children(
    python: Interpreter, kind: str, ring_dir: Path, tmp_path: Path, empty_library: Path
) -> None:
    test_no_harm_more.test_children(python, kind, ring_dir, tmp_path, empty_library)


test_gc_is_not_in_sys_modules = test_no_harm.test_gc_is_not_in_sys_modules
test_descriptors_of_a_ready_server = test_no_harm.test_descriptors_of_a_ready_server
test_not_every_listener_makes_ready = test_hazards.test_not_every_listener_makes_ready
test_exec_of_a_ready_server = test_no_harm.test_exec_of_a_ready_server
test_unflushed_file_is_written_at_exit = test_no_harm.test_unflushed_file_is_written_at_exit
test_a_fork_server = test_fork_servers.test_a_fork_server


# ---- servers ----


SERVERS = [
    "http.server",
    "gunicorn sync",
    "gunicorn gevent",
    "gunicorn uvicorn --preload",
    "uvicorn",
    "uvicorn uvloop",
]


@pytest.fixture(params=SERVERS)
def pair(request: pytest.FixtureRequest, python: Interpreter) -> Pair:
    return Pair(kind(request.param), python)


test_server = test_servers.test_server
test_workers_share_what_the_parent_froze = test_prefork.test_workers_of_gunicorn
test_children_share_memory = test_prefork.test_children_share_memory
test_fork_after_listen = test_prefork.test_fork_after_listen


# ---- modes and settings ----


@pytest.mark.parametrize("name", ["gunicorn sync", "gunicorn gevent", "uvicorn uvloop"])
def test_collects_while_it_waits(python: Interpreter, name: str, ring_dir: Path) -> None:
    test_idle.test_collects_while_it_waits(kind(name), python, ring_dir)


def test_a_wait_settles_while_others_work(python: Interpreter, ring_dir: Path) -> None:
    """By poll, which is ppoll(2) from 3.15 on."""
    test_idle.test_a_wait_settles_while_others_work(python, "poll", ring_dir)


test_nothing_in_requests_and_exact_counts = test_idle.test_nothing_in_requests_and_exact_counts
test_which_waits_are_chances = test_idle.test_which_waits_are_chances
test_a_finalizer_may_give_the_loop_work = test_idle.test_a_finalizer_may_give_the_loop_work
test_a_finalizer_may_switch_greenlets = test_hazards.test_a_finalizer_may_switch_greenlets
test_nothing_is_collected_until_ready = test_startup.test_nothing_is_collected_until_ready
test_workers_of_gunicorn_start = test_startup.test_workers_of_gunicorn
test_the_last_collection_finds_all = test_startup.test_the_last_collection_finds_all
test_where_a_slow_one_ran = test_slow.test_where_it_ran
test_subinterpreters_made_before = test_subinterpreters.test_three
test_subinterpreters_made_after = test_subinterpreters.test_three_made_after_readiness
test_subinterpreters_at_the_same_time = test_subinterpreters.test_at_the_same_time


# ---- truth: the interpreter's own clock, from 3.15 on ----

RECORD = """
told = []
def tell(phase, info):
    if phase == "stop":
        told.append([info["generation"], info["collected"], info["duration"]])
gc.callbacks.append(tell)
"""


def test_durations_are_the_interpreters(python: Interpreter, ring_dir: Path, into: Path) -> None:
    """Ours enclose its own, of every collection; and by little."""
    if python.minor < (3, 15):
        pytest.skip("tells no durations")
    with Puppet(python, ring_dir) as puppet:
        puppet.do("keep(500000)", "one = listen()", "arm(one)", "gc.unfreeze()")
        with Trace(ring_dir, into) as trace:
            test_trace.follows(trace, puppet.pid)
            puppet.do(RECORD, "garbage(200000)", "for _ in range(5): gc.collect()")
            before = puppet.shown()
            told = puppet.do("told")
        ours = [(e["tid"], e["args"]["collected"], e["dur"] / 1e6)
                for e in test_trace.slices(trace.events)]  # fmt: skip
    assert [(generation, collected) for generation, collected, _ in ours] == [
        (generation, collected) for generation, collected, _ in told
    ]
    assert collections_of(before, "automatic") >= 3
    nanosecond = 1e-9
    assert all(own[2] >= its[2] - nanosecond for own, its in zip(ours, told))
    # A machine that is busy may stop us between two clocks; not five times.
    assert min(own[2] / its[2] for own, its in zip(ours[-5:], told[-5:])) < 1.05
