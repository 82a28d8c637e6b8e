"""A Celery worker: it never listens, and its pool's processes wait in read(2)."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from lib.paths import APPS, DEADLINE
from lib.puppet import collections_of
from lib.rings import Process, by_pid
from lib.run import environment, run, wait_for
from venvs import Interpreter, venv

ASK = "import celery_tasks, json; print(json.dumps(celery_tasks.serve.delay().get(timeout=60)))"


def test_old_garbage_of_tasks_is_freed(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Mode concurrent, in a child of the pool; driven by its own collections alone."""
    python = venv("celery", system_python)
    settings = {"MODE": "concurrent", "TRIGGER": "fork", "GROWTH": "0"}
    env = environment(ring_dir, **{f"GCPRELOAD_{name}": text for name, text in settings.items()})
    env.update(CELERY_FOLDER=str(tmp_path), PYTHONPATH=str(APPS), PYTHONDONTWRITEBYTECODE="1")
    command = [python, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "1", "-l", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    plain = {name: text for name, text in env.items() if name != "LD_PRELOAD"}

    def serve() -> Process | None:
        asked = run([python, "-c", f"for _ in range(20):\n {ASK}"], plain)
        pid, made, gone = json.loads(asked.stdout.splitlines()[-1])
        shown = by_pid(ring_dir).get(pid)
        return shown if gone and shown and shown.marks["swept"] else None

    with subprocess.Popen(command, env=env, cwd=tmp_path) as worker:
        try:
            shown = wait_for("sessions that were freed", serve)
            assert (shown.mode, shown.state) == ("concurrent", "ready")
            assert collections_of(shown, "guard") == collections_of(shown, "idle") == 0
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(DEADLINE)
    assert worker.returncode == 0
