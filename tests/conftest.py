"""Options and fixtures of the integration tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import venvs
from lib.attach import Late
from lib.hosts import Hosts
from lib.mounts import summary, why_not
from lib.paths import BUILD, COMMAND, LIBRARY, ROOT
from lib.run import memory_dir
from lib.server import children


def pytest_configure(config: pytest.Config) -> None:
    """Ended by a signal, the tests still end the servers that they started.

    Where processes of pytest-xdist run them, these are ended by the one that started them, which
    otherwise kills them after ten seconds; Ctrl-C reaches all of them.
    """
    is_worker = hasattr(config, "workerinput")
    has_workers = not is_worker and bool(config.getoption("numprocesses", None))

    def ignore(*_: object) -> None:
        """Unlike SIG_IGN, programs do not inherit it."""

    def stop(number: int, _: object) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, ignore)  # once is enough, and nothing interrupts what it ends
        for pid in children(os.getpid()) if has_workers else []:
            os.kill(pid, signal.SIGTERM)
        raise KeyboardInterrupt(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, stop)
    if is_worker or has_workers:
        signal.signal(signal.SIGINT, stop)
    why_not()  # it may move this process into a mount namespace of its own


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    line = summary(terminalreporter.stats.get("skipped", []))
    if line:
        terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="every test on every interpreter found, not on two or three of them",
    )


def _parametrize(
    metafunc: pytest.Metafunc, name: str, pythons: list[venvs.Interpreter], missing: str
) -> None:
    if name not in metafunc.fixturenames or hasattr(metafunc.module, name):
        return  # a file may have a fixture of its own
    values = [pytest.param(python, id=str(python)) for python in pythons]
    skip = pytest.mark.skip(reason=missing)
    values = values or [pytest.param(None, id="none", marks=skip)]
    metafunc.parametrize(name, values, scope="module")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    supported = venvs.supported_interpreters()
    old = [p for p in venvs.every_interpreter() if p.minor < (3, 7)]
    every = metafunc.config.getoption("--all")
    servers = supported if every else venvs.server_interpreters()
    _parametrize(metafunc, "python", supported, "no Python 3.7 or later was found")
    few = [p for p in supported if every or p.is_system or p.minor == (3, 8)]
    _parametrize(metafunc, "one_of_two_pythons", few, "no Python 3.8 was found")
    _parametrize(metafunc, "old_python", old, "no Python 2.7 or 3.6 was found")
    _parametrize(metafunc, "server_python", servers, "no Python 3.7 or later was found")


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    if not (LIBRARY.exists() and COMMAND.exists()):
        pytest.exit("build/libgcpreload.so and build/gcpreload are missing: type make", 2)


@pytest.fixture
def ring_dir() -> Iterator[Path]:
    """A fresh GCPRELOAD_DIR, on tmpfs."""
    with memory_dir() as path:
        yield path


@pytest.fixture
def disk_dir() -> Iterator[Path]:
    """A fresh directory that is not on tmpfs, at least where the checkout is not."""
    place = BUILD / "test"
    place.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="disk-", dir=place))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def system_python() -> venvs.Interpreter:
    return venvs.system_interpreter()


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/apps/native.c: an ordinary C program."""
    program = tmp_path_factory.mktemp("native") / "native"
    source = ROOT / "tests" / "apps" / "native.c"
    subprocess.run(
        ["cc", "-Wall", "-fexceptions", "-pthread", "-o", program, source, "-ldl"], check=True
    )
    return program


@pytest.fixture(scope="session")
def empty_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library with nothing in it."""
    library = tmp_path_factory.mktemp("empty") / "empty.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "/dev/null"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    return Hosts(tmp_path_factory.mktemp("hosts"))


@pytest.fixture
def late(python: venvs.Interpreter, ring_dir: Path) -> Iterator[Late]:
    """A program into which the library is loaded while it runs."""
    with Late(python, ring_dir) as puppet:
        yield puppet


@pytest.fixture
def late_of_two(one_of_two_pythons: venvs.Interpreter, ring_dir: Path) -> Iterator[Late]:
    """For what takes seconds."""
    with Late(one_of_two_pythons, ring_dir) as puppet:
        yield puppet
