"""Parents that fork workers and have no listening socket of a server's: those that do nothing but
fork freeze before, a program's own pool does not."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from lib.paths import APPS, DEADLINE
from lib.rings import Process, by_pid, ring_files
from lib.run import environment, run, wait_for
from venvs import Interpreter, venv

HEAP = 300000  # lists with dicts

LOADED = f"""
import os
HEAP = [[i, {{}}] for i in range(int(os.environ.get("LOADED_HEAP", "{HEAP}")))]
"""

# Each child tells what it owns after a full collection that the interpreter makes by itself: when
# a quarter as much as there was has come and stayed.
PROGRAM = """
import gc, json, multiprocessing, sys

def private():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))

def work(queue):
    full, kept = gc.get_stats()[2]["collections"], []
    while gc.get_stats()[2]["collections"] == full:
        kept.append([[i] for i in range(5000)])
    queue.put([gc.get_freeze_count(), private()])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[1] == "fork":
        import loaded
        gc.collect()
    else:
        context.set_forkserver_preload(["loaded"])
    queue = context.SimpleQueue()
    answers = []
    for _ in range(2):
        child = context.Process(target=work, args=(queue,))
        child.start()
        answers.append(queue.get())
        child.join()
    print(json.dumps([answers, gc.get_freeze_count()]))
"""


def of_children(
    python: Interpreter, how: str, into: Path, env: dict[str, str]
) -> tuple[list[int], list[int], int]:
    """What is frozen in each child, what it owns, and what is frozen in the parent."""
    (into / "loaded.py").write_text(LOADED)
    (into / "program.py").write_text(PROGRAM)
    env = {**env, "PYTHONPATH": str(into), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run([python.path, into / "program.py", how], env)
    assert (done.returncode, done.stderr) == (0, b"")
    answers, frozen = json.loads(done.stdout)
    print(answers, frozen)
    return [one[0] for one in answers], [one[1] for one in answers], frozen


def test_a_fork_server(python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Its children share what it has preloaded."""
    _, stock, _ = of_children(python, "forkserver", tmp_path, environment())
    env = environment(ring_dir, GCPRELOAD_MODE="freeze")
    frozen, ours, _ = of_children(python, "forkserver", tmp_path, env)
    assert min(frozen) >= HEAP
    assert max(ours) + 16 * 1024 <= min(stock)


def test_a_fork_server_with_little(
    one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE="freeze", LOADED_HEAP="1000")
    frozen, _, _ = of_children(one_of_two_pythons, "forkserver", tmp_path, env)
    assert max(frozen) < 5000
    assert ring_files(ring_dir) == []


@pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])
def test_a_programs_own_pool(
    one_of_two_pythons: Interpreter, mode: str, ring_dir: Path, tmp_path: Path
) -> None:
    """It goes on with its data, and what it drops is garbage: nothing is done, nothing is left."""
    _, stock, _ = of_children(one_of_two_pythons, "fork", tmp_path, environment())
    env = environment(ring_dir, GCPRELOAD_MODE=mode)
    frozen, ours, of_parent = of_children(one_of_two_pythons, "fork", tmp_path, env)
    assert max(*frozen, of_parent) < 5000
    assert max(ours) <= max(stock) * 1.1 + 4 * 1024
    assert ring_files(ring_dir) == []


def test_celery(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Its parent has a hub and no listener; it freezes before it forks its pool."""
    python = venv("celery", system_python)
    env = environment(ring_dir, GCPRELOAD_MODE="freeze", CELERY_HEAP=str(HEAP))
    env.update(CELERY_FOLDER=str(tmp_path), PYTHONPATH=str(APPS), PYTHONDONTWRITEBYTECODE="1")
    command = [python, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "1", "-l", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with subprocess.Popen(command, env=env, cwd=tmp_path) as worker:

        def parent() -> Process | None:
            return by_pid(ring_dir).get(worker.pid)

        try:
            shown = wait_for("the parent's ring", parent)
            assert (shown.state, shown.fired) == ("parent", "auto: fork")
            assert shown.frozen_objects >= HEAP
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(DEADLINE)
    assert worker.returncode == 0
