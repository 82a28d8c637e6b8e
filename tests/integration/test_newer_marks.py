"""Mode concurrent on interpreters newer than this machine's: those of a Debian sid.

Most tests are those of the machine's own interpreters, run here on others.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import test_concurrent
import test_gc_meaning
import test_marker_faults
import test_marker_faults_more
import test_newer_pythons
import test_oracle
from lib.cpython import SHORT, new_failures, run_tests, under
from lib.debian import interpreter, other_debian
from lib.oracle import MODES, ORACLE
from lib.rings import ps
from lib.run import environment
from venvs import Interpreter, venv

(CONCURRENT,) = [mode for mode in MODES if mode.name == "concurrent"]


@pytest.fixture(scope="module")
def sid() -> Path:
    return other_debian("debian-sid")


@pytest.fixture(scope="module", params=["python3.13", "python3.14", "python3.15"])
def python(
    request: pytest.FixtureRequest, sid: Path, tmp_path_factory: pytest.TempPathFactory
) -> Interpreter:
    if request.param == "python3.13" and not request.config.getoption("--all"):
        pytest.skip("this machine's own 3.13 stands for it; --all runs it, too")
    return interpreter(sid, request.param, tmp_path_factory.mktemp("inside"))


@pytest.fixture(scope="module")
def system_python(python: Interpreter) -> Interpreter:
    return python


@pytest.fixture(scope="module")
def one_of_two_pythons(python: Interpreter) -> Interpreter:
    return python


@pytest.fixture(scope="module")
def server_python(python: Interpreter) -> Interpreter:
    return python


# ---- garbage goes, and what lives stays ----


@pytest.mark.parametrize("how", ["", "PYTHONMALLOC=debug", "PYTHONDEVMODE=1"])
def test_oracle_of_random_graphs(
    how: str, python: Interpreter, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    env = CONCURRENT.environment(ring_dir)
    env.update([how.split("=")] if how else [])
    steps = test_oracle.steps(pytestconfig) // (4 if how else 1)
    options = ("--seed", str(test_oracle.SEED), "--steps", str(steps), "--drain", "both")
    done = test_oracle.oracle(venv("newer", python), env, str(ORACLE), *options)
    freed = re.search(r"(\d+) freed", test_oracle.checked(done))
    assert freed and int(freed[1]) > steps / 3


test_old_garbage_is_freed = test_concurrent.test_old_garbage_is_freed


def test_memory_is_bounded(
    python: Interpreter, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    if not pytestconfig.getoption("--all"):
        pytest.skip("long: --all runs it")
    test_concurrent.test_memory_is_bounded(python, ring_dir)


test_without_a_listener = test_concurrent.test_without_a_listener
test_at_waits = test_concurrent.test_at_waits
test_no_class_of_ours = test_concurrent.test_no_class_of_ours
test_on_and_off = test_concurrent.test_on_and_off
test_workers_of_a_frozen_parent = test_concurrent.test_workers_of_a_frozen_parent


@pytest.mark.parametrize("name", test_newer_pythons.SERVERS[1:])
def test_each_server(name: str, python: Interpreter, ring_dir: Path) -> None:
    test_concurrent.test_each_server(test_newer_pythons.kind(name), python, ring_dir)


# ---- what is asked of the collector meanwhile, and faults ----


marked = test_gc_meaning.marked
marked_once = test_marker_faults_more.marked_once

test_collections_return_what_stocks_do = test_gc_meaning.test_collections_return_what_stocks_do
test_what_a_weak_reference_brings_back_lives = (
    test_gc_meaning.test_what_a_weak_reference_brings_back_lives
)
test_what_was_freed_before_the_sweep_is_not_touched = (
    test_gc_meaning.test_what_was_freed_before_the_sweep_is_not_touched
)
test_finalizers_and_callbacks_run_once = test_gc_meaning.test_finalizers_and_callbacks_run_once
test_it_looks_at_all_objects = test_gc_meaning.test_it_looks_at_all_objects
test_the_program_has_no_child = test_marker_faults.test_the_program_has_no_child
test_a_marker_is_killed = test_marker_faults.test_a_marker_is_killed
test_a_system_call_in_a_traverse = test_marker_faults.test_a_system_call_in_a_traverse
test_a_fork_during_a_mark = test_marker_faults_more.test_a_fork_during_a_mark
test_the_program_ends = test_marker_faults_more.test_the_program_ends
test_tracemalloc_starts_and_stops = (
    test_marker_faults_more.test_tracemalloc_starts_and_stops_during_marks
)
test_allocators = test_marker_faults_more.test_allocators


# ---- CPython's own tests ----


def test_as_without_the_library(
    python: Interpreter, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    other_debian("debian-sid-tests", "debian-sid")
    names = SHORT if pytestconfig.getoption("--all") else SHORT[:3]
    files = [f"test_{name}" for name in names]
    plain = run_tests(python, environment(), *files)
    found = run_tests(python, under(CONCURRENT, ring_dir), *files)
    assert len(plain.outcomes) > 200
    assert set(found.outcomes) == set(plain.outcomes), "other tests were run"
    new = new_failures(python, CONCURRENT, ring_dir, found)
    assert not new, found.output[-20000:]
    told = [process.marks for process in ps(ring_dir, "--all") if process.marks]
    assert sum(marks["finished"] for marks in told) > 5
