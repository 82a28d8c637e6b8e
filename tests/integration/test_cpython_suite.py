"""CPython's own tests under the library, in a process that is ready at once.

What fails there and passes without the library must stand in tests/cpython/differences.txt, with
the reason. --all: every file on 3.8, 3.11 and 3.13; else a few files on one interpreter.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from lib.cpython import MORE, SHORT, Results, has_tests, new_failures, run_tests, under
from lib.oracle import LIBRARY_MODES, Mode
from lib.rings import ps
from lib.run import environment
from venvs import Interpreter, supported_interpreters


def pythons(config: pytest.Config) -> list[Interpreter]:
    wanted = [(3, 8), (3, 11), (3, 13)] if config.getoption("--all") else [(3, 11)]
    found = [p for p in supported_interpreters() if p.minor in wanted and p.with_gil]
    return [p for p in found if has_tests(p)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tested" in metafunc.fixturenames:
        found = pythons(metafunc.config)
        skip = pytest.mark.skip(reason="no interpreter with the package `test` was found")
        missing = [pytest.param(None, id="none", marks=skip)]
        metafunc.parametrize("tested", found or missing, ids=str, scope="module")


def files(config: pytest.Config) -> tuple[str, ...]:
    names = [*SHORT, *MORE] if config.getoption("--all") else SHORT
    return tuple(f"test_{name}" for name in names)


@functools.cache
def stock(python: Interpreter, files: tuple[str, ...]) -> Results:
    return run_tests(python, environment(), *files)


@pytest.mark.parametrize("mode", LIBRARY_MODES, ids=str)
def test_as_without_the_library(
    tested: Interpreter, mode: Mode, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    chosen = files(pytestconfig)
    plain = stock(tested, chosen)
    found = run_tests(tested, under(mode, ring_dir), *chosen)
    assert any(p.fired for p in ps(ring_dir, "--all")), "it was never ready"
    assert len(plain.outcomes) > 500
    assert set(found.outcomes) == set(plain.outcomes), "other tests were run"
    new = new_failures(tested, mode, ring_dir, found)
    assert not new, found.output[-20000:]
