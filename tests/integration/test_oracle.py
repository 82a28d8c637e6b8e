"""tests/apps/oracle.py: random graphs, a model of what lives, and each collector under it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from lib.oracle import LIBRARY_MODES, MODES, ORACLE, Mode
from lib.paths import DEADLINE
from lib.rings import ps
from lib.run import Completed, environment, run
from venvs import Interpreter, supported_interpreters, venv

STEPS, LONG_STEPS = 1200, 20000
SEED = 20261126


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tested" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all")
        found = [p for p in supported_interpreters() if p.shared and p.with_gil]
        wanted = found if every else [p for p in found if p.minor in ((3, 8), (3, 11), (3, 13))]
        metafunc.parametrize("tested", wanted or supported_interpreters()[-1:], ids=str)


def oracle(python: str, env: dict[str, str], *options: str) -> Completed[bytes]:
    return run([python, *options], env, deadline=10 * DEADLINE)


def steps(config: pytest.Config) -> int:
    return LONG_STEPS if config.getoption("--all") else STEPS


def checked(done: Completed[bytes]) -> str:
    text = done.stdout.decode() + done.stderr.decode()
    assert (done.returncode, "\nok: " in text) == (0, True), text[-8000:]
    return text


RUNS = [pytest.param(mode, drain, id=f"{mode}-{drain}") for mode in MODES for drain in mode.drains]


@pytest.mark.parametrize(("mode", "drain"), RUNS)
def test_what_lives_stays_and_what_is_dead_goes(
    tested: Interpreter, mode: Mode, drain: str, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    count = steps(pytestconfig)
    options = ("--seed", str(SEED), "--steps", str(count), "--drain", drain)
    done = oracle(venv("oracle", tested), mode.environment(ring_dir), str(ORACLE), *options)
    text = checked(done)
    freed, rescued, resurrected = map(
        int, re.search(r"(\d+) freed, (\d+) rescued, (\d+) resurrected", text).groups()
    )
    assert freed > count / 3 and rescued > 10 and resurrected > 3, text
    if mode in LIBRARY_MODES:
        # --all has others' processes, too, which have no measurements here.
        ready = [process for process in ps(ring_dir, "--all") if process.fired]
        assert [process.mode for process in ready] == [mode.name], "it was never ready"


@pytest.mark.parametrize("mode", [MODES[0], *LIBRARY_MODES], ids=str)
@pytest.mark.parametrize("how", ["PYTHONMALLOC=debug", "-X dev"])
def test_debug_variants(
    tested: Interpreter, how: str, mode: Mode, ring_dir: Path, pytestconfig: pytest.Config
) -> None:
    """Freed memory is overwritten there, and each block has a fence on both sides."""
    env = mode.environment(ring_dir)
    options = how.split() if how.startswith("-") else []
    if not options:
        env.update([how.split("=")])
    count = str(steps(pytestconfig) // 4)
    drain = mode.drains[-1]
    options += [str(ORACLE), "--seed", str(SEED + 1), "--steps", count, "--drain", drain]
    checked(oracle(tested.path, env, *options))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("lost", rb"holds \[.*\] instead of"),
        ("leaked", rb"dead nodes are not freed"),
        ("freed", rb", and lives"),
        ("finalized", rb"finalized 2 times"),
    ],
    ids=["lost", "leaked", "freed", "finalized"],
)
def test_it_finds_what_is_wrong(system_python: Interpreter, how: str, said: bytes) -> None:
    """A reference cleared, a leak, an object freed too early, a finalizer that runs twice."""
    options = ("--seed", "3", "--steps", "400", "--drain", "collect", "--break", how)
    done = oracle(system_python.path, environment(), str(ORACLE), *options)
    if how == "freed" and done.returncode < 0:
        return  # it crashed, which is as good
    assert done.returncode == 1, done
    assert re.search(said, done.stdout), done.stdout
    assert b"FAILED: seed 3, step " in done.stdout


def debug_builds() -> list[str]:
    """Py_DEBUG: assertions on, reference counts checked. Debian's has a name of its own."""
    probe = "import sys; sys.exit(not hasattr(sys, 'gettotalrefcount'))"
    debian = shutil.which("python3-dbg")
    paths = [*([debian] if debian else []), *(python.path for python in supported_interpreters())]
    return [path for path in paths if not run([path, "-c", probe], environment()).returncode]


@pytest.mark.parametrize("mode", LIBRARY_MODES, ids=str)
def test_debug_build(mode: Mode, ring_dir: Path, pytestconfig: pytest.Config) -> None:
    found = debug_builds()
    if not found:
        pytest.skip("no debug build of Python was found")
    count = str(steps(pytestconfig))
    for path in found:
        env = mode.environment(ring_dir)
        options = ("--seed", str(SEED + 2), "--steps", count, "--drain", mode.drains[-1])
        checked(oracle(path, env, str(ORACLE), *options))
        ready = [process for process in ps(ring_dir, "--all") if process.fired]
        assert mode.name in [process.mode for process in ready], "it was never ready"
