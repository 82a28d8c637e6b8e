"""Programs that never wait on a listening socket: which become ready, and which are left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import collections_of
from lib.rings import Process, ps, ring_files
from lib.run import environment, run, wait_for
from test_concurrent import marks_here
from venvs import Interpreter, supported_interpreters, system_interpreter, venv

HEAP_SIZE = 20000  # of tests/apps/settles.py
TUNED = 50000

# Of tests/apps/settles.py, with the mode.
EVERYWHERE = [("consume", "freeze"), ("serve_queue", "freeze"), ("serve_queue", "concurrent")]
ON_ONE = [
    *(("serve_queue", mode) for mode in ("observe", "idle")),
    *(("consume", mode) for mode in ("observe", "idle", "concurrent")),
    *(("schedule", mode) for mode in ("freeze", "concurrent")),
    ("tune", "freeze"),
    ("fork_once", "freeze"),
]
UNTOUCHED = [
    (what, mode) for what in ("grow", "load", "litter") for mode in ("freeze", "concurrent")
]
FORKS = ("fork", "freeze")

Case = tuple[Interpreter, str, str]


@contextlib.contextmanager
def running(cases: list[Case], ring_dir: Path) -> Iterator[dict[int, Case]]:
    """All of them, side by side: it takes half a minute to settle."""
    processes: dict[int, Case] = {}
    started = []
    try:
        for python, what, mode in cases:
            process = subprocess.Popen(
                [python.path, APPS / "settles.py", what],
                env=environment(ring_dir, GCPRELOAD_MODE=mode),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            started.append(process)
            processes[process.pid] = (python, what, mode)
        yield processes
        for process in started:
            assert process.poll() is None, f"{processes[process.pid]} ended"
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def described(process: Process) -> str:
    return f"{process.state}: {process.fired}"


def expected(what: str, mode: str) -> str:
    state = "standing-back" if what == "tune" else "observing" if mode == "observe" else "ready"
    return f"{state}: auto: settled"


def check_ready(process: Process, case: Case) -> None:
    python, what, mode = case
    if mode == "observe" or what == "tune":
        assert not process.frozen_objects, case
        return
    assert process.frozen_objects >= HEAP_SIZE, case
    assert process.mode == ("idle" if mode == "concurrent" and not marks_here(python) else mode)
    if mode == "freeze":
        assert process.thresholds[0] == TUNED, case
    # Where the main thread is in C, it is done within a collection, in which there is no other.
    assert collections_of(process, "ready") == (0 if what == "serve_queue" else 1), case


def test_who_settles(ring_dir: Path) -> None:
    pythons = [python for python in supported_interpreters() if python.with_gil]
    one = system_interpreter()
    settle = [(python, what, mode) for python in pythons for what, mode in EVERYWHERE]
    settle += [(one, what, mode) for what, mode in ON_ONE]
    others = [(one, what, mode) for what, mode in [*UNTOUCHED, FORKS]]
    with running([*others, *settle], ring_dir) as processes:
        awaited = {
            pid: (case, expected(*case[1:])) for pid, case in processes.items() if case in settle
        }
        (forks,) = [pid for pid, case in processes.items() if case[1:] == FORKS]

        def look() -> dict[int, Process] | None:
            time.sleep(1)
            shown = {process.pid: process for process in ps(ring_dir)}
            missing = {
                case: shown[pid].fields["state"] if pid in shown else None
                for pid, (case, text) in awaited.items()
                if pid not in shown or described(shown[pid]) != text
            }
            if len(missing) < 4:
                print(missing)
            # The child is a consumer of its own.
            child = any(process.ppid == forks for process in shown.values())
            return shown if child and not missing else None

        shown = wait_for("all to settle", look)
        for pid, (case, _) in awaited.items():
            check_ready(shown[pid], case)
        for pid, case in processes.items():
            assert case in settle or pid not in shown, f"{case}: {shown[pid].fields}"


# ---- commands end by themselves, and are left alone ----

modes = pytest.mark.parametrize("mode", ["freeze", "concurrent"])


def wheel(into: Path) -> Path:
    """A package with some modules."""
    path = into / "shop-1.0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(100):
            lines = "".join(f"def f{i}(a, b={i}): return [a, b]\n" for i in range(50))
            file.writestr(f"shop/part{number}.py", lines)
        file.writestr("shop-1.0.dist-info/METADATA", metadata)
        file.writestr("shop-1.0.dist-info/WHEEL", tags)
        file.writestr("shop-1.0.dist-info/RECORD", "")
    return path


TESTS = """
import gc
import pytest
@pytest.mark.parametrize("number", range(200))
def test_some(number):
    kept = [[i] for i in range(2000)]
    assert gc.get_freeze_count() < 2000 and gc.get_threshold()[0] < 10000
"""

MIGRATE = """
import gc, os, django
from django.conf import settings
from django.core.management import execute_from_command_line
apps = ["admin", "auth", "contenttypes", "messages", "sessions"]
settings.configure(
    INSTALLED_APPS=["django.contrib." + name for name in apps],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
execute_from_command_line(["manage.py", "migrate", "--skip-checks"])
assert os.path.getsize("shop.db") > 10000
assert gc.get_freeze_count() < 2000 and gc.get_threshold()[0] < 10000
"""


@modes
def test_commands(system_python: Interpreter, mode: str, ring_dir: Path, tmp_path: Path) -> None:
    tools = venv("tools", system_python)
    (tmp_path / "test_some.py").write_text(TESTS)
    pip = [tools, "-m", "pip", "--disable-pip-version-check"]
    install = ["install", "-q", "--no-index", "--target", tmp_path / "target", wheel(tmp_path)]
    commands = [
        [*pip, "--version"],
        [*pip, *install],
        [tools, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "test_some.py"],
        [venv("commands", system_python), "-c", MIGRATE],
    ]
    env = environment(ring_dir, GCPRELOAD_MODE=mode, PYTHONDONTWRITEBYTECODE="1")
    for command in commands:
        done = run(command, env, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ring_files(ring_dir) == []
    assert (tmp_path / "target" / "shop" / "part0.py").exists()
