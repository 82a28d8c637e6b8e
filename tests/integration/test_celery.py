"""A Celery worker: it never listens, and its pool's processes wait in read(2)."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.paths import APPS, DEADLINE
from lib.puppet import collections_of
from lib.rings import Process, by_pid
from lib.run import environment, run, wait_for
from venvs import Interpreter, venv

ASK = "import celery_tasks, json; print(json.dumps(celery_tasks.serve.delay().get(timeout=60)))"


@contextmanager
def celery(
    interpreter: Interpreter, ring_dir: Path, folder: Path, **settings: str
) -> Iterator[Callable[[], tuple[Process | None, int]]]:
    """A worker of one process; its end is a clean one. Twenty tasks: the process that did them,
    and how many sessions of earlier ones are gone there."""
    python = venv("celery", interpreter)
    env = environment(ring_dir, **{f"GCPRELOAD_{name}": text for name, text in settings.items()})
    env.update(CELERY_FOLDER=str(folder), PYTHONPATH=str(APPS), PYTHONDONTWRITEBYTECODE="1")
    command = [python, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "1", "-l", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    plain = {name: text for name, text in env.items() if name != "LD_PRELOAD"}

    def serve() -> tuple[Process | None, int]:
        asked = run([python, "-c", f"for _ in range(20):\n {ASK}"], plain)
        pid, _, gone = json.loads(asked.stdout.splitlines()[-1])
        return by_pid(ring_dir).get(pid), gone

    with subprocess.Popen(command, env=env, cwd=folder) as worker:
        try:
            yield serve
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(DEADLINE)
    assert worker.returncode == 0


def test_old_garbage_of_tasks_is_freed(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Mode concurrent, in a child of the pool."""
    settings = {"MODE": "concurrent", "TRIGGER": "fork", "GROWTH": "0"}
    with celery(system_python, ring_dir, tmp_path, **settings) as serve:

        def look() -> Process | None:
            shown, gone = serve()
            return shown if gone and shown and shown.marks["swept"] else None

        shown = wait_for("sessions that were freed", look)
        assert (shown.mode, shown.state) == ("concurrent", "ready")
        assert collections_of(shown, "guard") == 0


def test_collects_while_it_waits_for_tasks(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Mode idle, in a child of the pool."""
    with celery(system_python, ring_dir, tmp_path, MODE="idle", TRIGGER="fork") as serve:

        def look() -> Process | None:
            shown, _ = serve()
            return shown if shown and collections_of(shown, "idle") >= 3 else None

        shown = wait_for("idle collections", look)
        assert (shown.mode, shown.state, shown.reason) == ("idle", "ready", None)
