"""Interpreters that are newer than what is known, or made in another way: told, and not tuned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lib.paths import LIBRARY
from lib.puppet import Puppet, collections_of
from lib.run import shared_library
from lib.servers import own_thresholds
from test_doctor import doctor
from venvs import Interpreter, supported_interpreters

UNKNOWN = "CPython 3.16's collector is not known yet"


@pytest.fixture(scope="module")
def shared_python() -> Interpreter:
    found = [p for p in supported_interpreters() if p.shared and p.with_gil]
    if not found:
        pytest.skip("no interpreter with a libpython was found")
    return found[-1]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For LD_PRELOAD."""
    return f"{shared_library('other_python', tmp_path_factory.mktemp('shim'))} {LIBRARY}"


def test_a_newer_one_is_observed(shared_python: Interpreter, ring_dir: Path, shim: str) -> None:
    """Its collections are counted exactly; it is not tuned by a command, either."""
    extra = {"LD_PRELOAD": shim, "OTHER_VERSION": "3.16.0a1 (main) [GCC]"}
    with Puppet(shared_python, ring_dir, extra=extra, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do("one = listen()")
        shown = puppet.wait_for("observing", "arm(one)")
        assert (shown.mode, shown.reason, shown.python) == ("observe", UNKNOWN, "3.16.0")
        puppet.do("garbage(50000)", "gc.collect()")
        assert puppet.collector()["thresholds"] == own_thresholds(shared_python)
        assert not puppet.frozen()
        assert collections_of(puppet.shown(), "explicit") == 1
        assert collections_of(puppet.shown(), "automatic") > 1


def test_too_new_a_one_is_left_alone(
    shared_python: Interpreter, ring_dir: Path, shim: str
) -> None:
    extra = {"LD_PRELOAD": shim, "OTHER_VERSION": "3.17.0a1 (main) [GCC]"}
    with Puppet(shared_python, ring_dir, extra=extra, GCPRELOAD_LOG="info") as puppet:
        assert puppet.do("len(gc.callbacks)") == 0
        assert "this Python is not one of 3.7 to 3.15" in puppet.errors()


def test_functions_that_cannot_be_replaced(
    shared_python: Interpreter, ring_dir: Path, shim: str
) -> None:
    extra = {"LD_PRELOAD": shim, "NO_DEFINITION": "1"}
    settings = {"GCPRELOAD_MODE": "freeze", "GCPRELOAD_LOG": "info"}
    with Puppet(shared_python, ring_dir, extra=extra, **settings) as puppet:
        puppet.do("one = listen()")
        shown = puppet.wait_for("ready", "arm(one)")
        why = "gc.collect() is counted as automatic: the functions of gc cannot be replaced"
        assert shown.reason == why
        assert puppet.errors().count(why) == 1
        assert puppet.frozen()
        puppet.do("gc.collect(0)")
        assert collections_of(puppet.shown(), "explicit") == 0


# What doctor's two lines print there.
FAKE = """
#include <stdio.h>
int main(void) { puts("gcpreload-probe cpython %s 0 1 1 %s"); return 0; }
"""


@pytest.mark.parametrize(
    ("version", "shown", "word"),
    [
        ("3.16.0", "10 3 66", f"{UNKNOWN}; use 3.7 to 3.15"),
        ("3.16.0", "10 3 4", f"{UNKNOWN}: it is not that of 3.15; use 3.7 to 3.15"),
        ("3.17.0", "10 3 66", "CPython 3.17.0 is not supported; use 3.7 to 3.15"),
        ("3.14.4", "0 3 66", "CPython 3.14.4, whose incremental collector is left as it is"),
        ("3.14.4", "10 3 66", "CPython 3.14.4, where tuning means: collect, freeze"),
    ],
    ids=str,
)
def test_doctor_says_so(
    version: str, shown: str, word: str, ring_dir: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    build = ["cc", "-x", "c", "-o", python, "-"]
    subprocess.run(build, input=(FAKE % (version, shown)).encode(), check=True)
    _, said = doctor("--", python, "-m", "http.server", ring_dir=ring_dir)
    assert word in said
