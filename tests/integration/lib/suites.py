"""gevent's and uvloop's own tests, for test_loop_suites.py: each file in a process of its own."""

from __future__ import annotations

import contextlib
import fnmatch
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from venvs import Interpreter, sources, venv

from lib.paths import APPS, DEADLINE, ROOT
from lib.run import environment

LIST = ROOT / "tests" / "suites" / "differences.txt"
LONG = 4 * DEADLINE
TRIES = 4

# Marks without a pause between them, and collections as often as can be; ready at the first one.
MARKS = {
    "GCPRELOAD_MODE": "concurrent",
    "GCPRELOAD_GROWTH": "0",
    "GCPRELOAD_PAUSE_MS": "0.1",
    "GCPRELOAD_TRIGGER": "delay:0",
    "GCPRELOAD_FORCE": "1",
}

Outcomes = dict[str, str]  # by a test's name: passed, failed or skipped


@dataclass(frozen=True)
class Suite:
    name: str
    short: tuple[str, ...]  # files of the fixed part
    leave_out: dict[str, str] = field(default_factory=dict)  # files, and why

    def place(self, python: Interpreter) -> Path:
        if self.name == "uvloop":
            return sources("uvloop", "tests") / "tests"
        where = [venv("suites", python), "-c", "import gevent.tests as t; print(t.__path__[0])"]
        done = subprocess.run(where, env=environment(), capture_output=True, check=True)
        return Path(done.stdout.decode().strip())

    def files(self, python: Interpreter) -> list[str]:
        found = sorted(path.stem for path in self.place(python).glob("test_*.py"))
        return [name for name in found if name not in self.leave_out]

    def words(self, name: str) -> list[str]:
        """uvloop's files run nothing by themselves."""
        if self.name == "uvloop":
            return ["unittest", f"tests.{name}"]
        return [f"gevent.tests.{name}"]


SUITES = (
    Suite(
        "gevent",
        ("test__event", "test__greenlet", "test__local", "test__pywsgi", "test__queue"),
        {
            "test__getaddrinfo_import": "asks a name server",
            "test__monkey_patching": "runs CPython's own tests",
            "test__resolver_dnspython": "asks a name server",
            "test__socket_dns": "asks a name server",
            "test__socket_dns6": "asks a name server",
        },
    ),
    Suite(
        "uvloop",
        ("test_executors", "test_pipes", "test_udp", "test_unix"),
        {"test_sourcecode": "looks at its source", "test_dns": "asks a name server"},
    ),
)


def run_file(suite: Suite, python: Interpreter, env: dict[str, str], name: str) -> Outcomes:
    """Also whether the process ended well, by the file's name."""
    with tempfile.TemporaryDirectory() as directory:
        record = Path(directory) / "record"
        command = [venv("suites", python), str(APPS / "recorded.py"), str(record)]
        env = {**env, "TMPDIR": directory, "GEVENTTEST_USE_RESOURCES": "-network"}
        if suite.name == "uvloop":
            env["PYTHONPATH"] = str(suite.place(python).parent)
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = subprocess.run(
                [*command, *suite.words(name)],
                env=env,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LONG,
                check=False,
            ).returncode
        found: Outcomes = {}
        for line in record.read_text().splitlines() if record.exists() else []:
            outcome, _, test = line.partition(" ")
            if found.get(test) != "failed":
                found[test] = outcome
        found[name] = "passed" if status == 0 else "failed"
        return found


def explained(suite: Suite, name: str, test: str) -> bool:
    """A line says why this one differs."""
    for line in LIST.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        which, file, names, why = (part.strip() for part in line.split("|"))
        assert why, line
        if (which, file) == (suite.name, name) and fnmatch.fnmatch(test, names):
            return True
    return False


def differences(
    suite: Suite, python: Interpreter, marks: dict[str, str], name: str, pair: list[Outcomes]
) -> dict[str, tuple[str | None, str | None]]:
    """What is not as without the library, and has no explanation: {test: (stock, marked)}. Many
    of these tests measure time, and on a busy machine some fail now and then, also without the
    library: run again, a test has to differ each time, in the same way."""
    found = None
    for left in reversed(range(TRIES)):
        stock, marked = pair
        differ = {
            (test, stock.get(test), marked.get(test))
            for test in {*stock, *marked}
            if stock.get(test) != marked.get(test) and not explained(suite, name, test)
        }
        found = differ if found is None else found & differ
        if not found or not left:
            break
        pair = [run_file(suite, python, env, name) for env in (environment(), marks)]
    return {test: (stock, marked) for test, stock, marked in found or ()}
