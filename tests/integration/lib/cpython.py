"""CPython's own tests, run by test_cpython_suite.py and scripts/soak."""

from __future__ import annotations

import fnmatch
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from venvs import Interpreter

from lib.oracle import Mode
from lib.paths import DEADLINE, ROOT
from lib.run import environment

SHORT = ["weakref", "dict", "deque", "class", "coroutines", "asyncgen", "functools", "copy"]
MORE = ["list", "set", "descr", "generators", "gc", "ordered_dict", "exceptions", "traceback"]
MORE += ["typing", "enum", "threading_local", "io", "pickle", "ctypes"]
DIFFERENCES = ROOT / "tests" / "cpython" / "differences.txt"
LONG = 20 * DEADLINE

# Nothing here listens: ready at the first collection. FORCE: test_gc sets thresholds, for which
# the library would stand back.
SETTINGS = {"GCPRELOAD_TRIGGER": "delay:0", "GCPRELOAD_FORCE": "1"}

Run = Callable[[list[str], dict[str, str], str], tuple[int, bytes]]


@dataclass(frozen=True)
class Results:
    """By a test's name: passed, failed or skipped."""

    outcomes: dict[str, str]
    output: str

    def failed(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome == "failed"}


def has_tests(python: Interpreter) -> bool:
    """Distributions leave them out."""
    look = [python.path, "-c", "import test.libregrtest, test.test_weakref"]
    return subprocess.run(look, capture_output=True, check=False).returncode == 0


def under(mode: Mode, ring_dir: Path | str) -> dict[str, str]:
    env = mode.environment(ring_dir)
    return env if mode.name == "stock" else {**env, **SETTINGS}


def plain_run(command: list[str], env: dict[str, str], directory: str) -> tuple[int, bytes]:
    done = subprocess.run(
        command,
        env=env,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONG,
        check=False,
    )
    return done.returncode, done.stdout


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.get("result") == "skipped" else "passed"


def run_tests(
    python: Interpreter, env: dict[str, str], *arguments: str, run: Run = plain_run
) -> Results:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [python.path, "-m", "test", "--junit-xml", str(report), *arguments]
        status, output = run(command, {**env, "TMPDIR": directory}, directory)
        said = output.decode(errors="replace")
        # A failed test is told in the report. A crash leaves none.
        assert report.exists(), f"{command} ended with {status}:\n{said[-8000:]}"
        cases = ElementTree.parse(report).getroot().iter("testcase")
        return Results({str(case.get("name")): _outcome(case) for case in cases}, said)


def fails_alone(python: Interpreter, env: dict[str, str], name: str, run: Run = plain_run) -> bool:
    """Of a name like test.test_gc.GCTests.test_list."""
    words = name.split(".")
    file = words[1] if words[0] == "test" else words[0]
    return name in run_tests(python, env, "-m", words[-1], file, run=run).failed()


def explained(mode: str, python: Interpreter, name: str) -> bool:
    """A line says why this one differs."""
    version = ".".join(map(str, python.minor))
    for line in DIFFERENCES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        modes, pythons, names, why = (part.strip() for part in line.split("|"))
        assert why, line
        if modes in (mode, "*") and pythons in (version, "*") and fnmatch.fnmatch(name, names):
            return True
    return False


def new_failures(
    python: Interpreter, mode: Mode, ring_dir: Path | str, results: Results, run: Run = plain_run
) -> set[str]:
    """What failed, has no explanation, fails alone too, and does not without the library. On a
    busy machine some fail now and then."""
    names = {name for name in results.failed() if not explained(mode.name, python, name)}
    return {
        name
        for name in names
        if fails_alone(python, under(mode, ring_dir), name, run)
        and not fails_alone(python, environment(), name, run)
    }
