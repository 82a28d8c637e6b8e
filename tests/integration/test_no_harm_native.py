"""Programs that are not Python, or not yet: threads and sandboxes that meet the library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.paths import APPS, BUILD, LIBRARY, ROOT, SET_UP_DEADLINE
from lib.run import Completed, environment, files_below, run
from venvs import Interpreter

WHERE = "import sysconfig as s; get = s.get_config_var; import json\n"
WHERE += "print(json.dumps(get('LIBDIR') + '/' + get('INSTSONAME')))"
AT_ONCE = APPS / "calls_at_once.c"
RUNS = 200  # before the state was one that a single thread takes, four in ten died
RUNS_WITH_PYTHON = 40
TSAN_RUNS = 10
GLOB_OF_CHARACTERS = "*[[:alpha:]]no-such-command*"


def build(source: Path, program: Path, *options: str, cc: str = "cc") -> Path:
    command = [cc, "-Wall", "-Werror", "-pthread", *options, "-o", program, source, "-ldl"]
    subprocess.run(command, check=True)
    return program


@pytest.fixture(scope="session")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(AT_ONCE, tmp_path_factory.mktemp("at_once") / "at_once")


@pytest.fixture(scope="session")
def no_malloc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(AT_ONCE, tmp_path_factory.mktemp("no_malloc") / "no_malloc", "-DNO_MALLOC")


def libpython(python: Interpreter) -> str:
    if not python.shared:
        pytest.skip("linked statically: it has no libpython.so to load")
    path: str = json.loads(run([python.path, "-c", WHERE], environment()).stdout)
    return path


def assert_fine(done: Completed[bytes]) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_all_calls_from_eight_threads_at_once(at_once: Path, ring_dir: Path) -> None:
    for _ in range(RUNS):
        assert_fine(run([at_once], environment(ring_dir)))
    assert files_below(ring_dir) == []


def test_all_calls_at_once_just_after_libpython_was_loaded(
    python: Interpreter, at_once: Path, ring_dir: Path
) -> None:
    for _ in range(RUNS_WITH_PYTHON):
        assert_fine(run([at_once, libpython(python)], environment(ring_dir)))
    assert files_below(ring_dir) == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"GCPRELOAD_ONLY": GLOB_OF_CHARACTERS}, {"GCPRELOAD_CONF": "/no/such/file"}],
    ids=["plain", "a-glob", "no-file"],
)
def test_listen_allocates_nothing(
    settings: dict[str, str], python: Interpreter, no_malloc: Path, ring_dir: Path
) -> None:
    """A signal handler may call it, in the middle of malloc. fnmatch() allocates for a long
    text in a locale of several bytes a character."""
    command = [no_malloc, libpython(python), "ü" * 1500]
    assert_fine(run(command, environment(ring_dir, **settings)))


@pytest.fixture(scope="session")
def tsan() -> Path:
    made = run(["make", "-j2", "-C", ROOT, "tsan"], environment(), deadline=SET_UP_DEADLINE)
    assert made.returncode == 0, made.stderr.decode()
    return BUILD / "tsan"


def run_under_tsan(env: dict[str, str], *command: str | Path) -> Completed[bytes]:
    env["TSAN_OPTIONS"] = f"suppressions={ROOT / 'tests' / 'tsan.supp'}"
    done = run(command, env)
    if b"unexpected memory mapping" in done.stderr:  # more random addresses than it knows
        done = run(["setarch", "--addr-no-randomize", *command], env)
    return done


@pytest.fixture(scope="session")
def under_tsan(tsan: Path) -> Callable[..., Completed[bytes]]:
    env = environment("/nonexistent", LD_PRELOAD=str(tsan / LIBRARY.name))
    return lambda *words: run_under_tsan(env, tsan / AT_ONCE.stem, *words)


def test_no_data_race(under_tsan: Callable[..., Completed[bytes]]) -> None:
    for _ in range(TSAN_RUNS):
        assert_fine(under_tsan())


def test_no_data_race_just_after_libpython_was_loaded(
    python: Interpreter, under_tsan: Callable[..., Completed[bytes]]
) -> None:
    for _ in range(TSAN_RUNS):
        assert_fine(under_tsan(libpython(python)))


@pytest.mark.parametrize("mode", ["freeze", "idle"])
def test_no_data_race_in_a_server_of_threads(
    mode: str, one_of_two_pythons: Interpreter, tsan: Path, ring_dir: Path
) -> None:
    """Of the interpreter only the locks are known: it hands the GIL on under a mutex, so what is
    done with it is ordered. The library comes first: within its own stand-in for a wait
    ThreadSanitizer does not look at locks."""
    needed = run(["ldd", tsan / LIBRARY.name], environment()).stdout.decode()
    runtime = re.search(r"=> (\S*/libtsan\S*)", needed)
    assert runtime, needed
    env = environment(ring_dir, GCPRELOAD_MODE=mode, GCPRELOAD_TRIGGER="auto,accepts:1,delay:1")
    env["LD_PRELOAD"] = f"{tsan / LIBRARY.name} {runtime[1]}"
    done = run_under_tsan(env, one_of_two_pythons.path, APPS / "threads_at_once.py")
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) > 0


def test_a_sandboxed_server_that_is_not_python(tmp_path: Path, ring_dir: Path) -> None:
    """Its child is killed if it makes a call that its own code does not make."""
    program = build(APPS / "sandboxed_server.c", tmp_path / "server")
    done = run([program], environment(ring_dir))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"listen poll select accept epoll\n"


@pytest.fixture(scope="session")
def musl() -> str:
    if not shutil.which("musl-gcc"):
        pytest.skip("musl-gcc is not installed (scripts/setup test installs it)")
    return "musl-gcc"


def test_a_program_of_musl(musl: str, tmp_path: Path, ring_dir: Path) -> None:
    """It would end before main if the library needed what musl does not have."""
    program = build(APPS / "native.c", tmp_path / "native", cc=musl)
    stock, ours = run([program], environment()), run([program], environment(ring_dir))
    assert stock.stdout.startswith(b"dlerror: none\n")
    assert (ours.stdout, ours.stderr) == (stock.stdout, stock.stderr)
    assert ours.returncode == stock.returncode == 3


def test_musl_with_threads_and_what_looks_like_python(
    musl: str, tmp_path: Path, ring_dir: Path
) -> None:
    """Nothing is looked for there: no page, no file."""
    program = build(AT_ONCE, tmp_path / "at_once", cc=musl)
    python = tmp_path / "libpython3.99.so"
    build(Path("/dev/null"), python, "-shared", "-fPIC", "-x", "c", cc=musl)
    assert_fine(run([program], environment(ring_dir)))
    env = environment(ring_dir, GCPRELOAD_MODE="nonsense", GCPRELOAD_LOG="debug")
    assert_fine(run([program, python], env))
    assert files_below(ring_dir) == []
