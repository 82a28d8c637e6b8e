"""GCPRELOAD_ONLY and GCPRELOAD_EXCEPT in processes whose command line does not say what they are:
those of multiprocessing count as what started them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS, COMMAND, DEADLINE
from lib.rings import wait_for_state
from lib.run import environment, run
from lib.servers import UvicornServer
from venvs import Interpreter, venv

SPAWNS = APPS / "spawns.py"
KIN = ("parent", "child", "grandchild")
METHODS = ["spawn", "forkserver"]


@contextlib.contextmanager
def spawning(
    python: Interpreter, ring_dir: Path, method: str, **settings: str
) -> Iterator[dict[str, Any]]:
    """What it said; meanwhile its processes are there."""
    process = subprocess.Popen(
        [python.path, SPAWNS, method],
        env=environment(ring_dir, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


WHO = [
    ({"GCPRELOAD_ONLY": "*spawns.py*"}, True),
    ({"GCPRELOAD_ONLY": "*nobody-runs-this*"}, False),
    ({"GCPRELOAD_EXCEPT": "*spawns.py*"}, False),
    ({"GCPRELOAD_EXCEPT": "*nobody-runs-this*"}, True),
]


@pytest.mark.parametrize(("settings", "acts"), WHO, ids=str)
def test_of_multiprocessing(
    settings: dict[str, str], acts: bool, one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    with spawning(one_of_two_pythons, ring_dir, METHODS[0], **settings) as said:
        assert [said[name] for name in KIN] == [acts] * 3


@pytest.mark.parametrize("method", METHODS)
def test_what_started_them(method: str, one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """Each way; a program that says what it is counts as that, whoever started it."""
    only = {"GCPRELOAD_ONLY": "*spawns.py*"}
    with spawning(one_of_two_pythons, ring_dir, method, **only) as said:
        assert [said[name] for name in KIN] == [1, 1, 1]
        assert said["subprocess"] == 0
    with spawning(
        one_of_two_pythons, ring_dir, method, GCPRELOAD_EXCEPT=only.popitem()[1]
    ) as said:
        assert [said[name] for name in KIN] == [0, 0, 0]
        assert said["subprocess"] == 1


def test_by_their_own_line(system_python: Interpreter, ring_dir: Path) -> None:
    """They still are what their own command line says."""
    settings = {"GCPRELOAD_ONLY": "*from multiprocessing.spawn*"}
    with spawning(system_python, ring_dir, "spawn", **settings) as said:
        assert [said[name] for name in KIN] == [0, 1, 1]
    settings = {"GCPRELOAD_ONLY": "*spawns.py*", "GCPRELOAD_EXCEPT": "*spawn_main*"}
    with spawning(system_python, ring_dir, "spawn", **settings) as said:
        assert [said[name] for name in KIN] == [1, 0, 0]


def test_not_by_a_parent_without_the_library(system_python: Interpreter, ring_dir: Path) -> None:
    """It cannot be asked what it is."""
    env = environment(ring_dir, GCPRELOAD_ONLY="*an-unusual-name*")
    script = (
        "import subprocess, sys\n"
        "code = 'from multiprocessing.spawn import *; import gc; print(len(gc.callbacks))'\n"
        "command = [sys.executable, '-c', code]\n"
        "print(subprocess.check_output(command, env=ENV).decode())\n"
    )
    for parent, acts in ((environment(), b"0"), (env, b"1")):
        words = [system_python.path, "-c", f"ENV = {env!r}\n{script}", "an-unusual-name"]
        done = run(words, parent)
        assert done.stdout.strip() == acts, done.stderr


def test_sections_of_the_file(system_python: Interpreter, ring_dir: Path) -> None:
    conf = ring_dir / "conf"
    conf.write_text("mode = off\n[*spawns.py*]\nmode = freeze\n")
    with spawning(system_python, ring_dir, "spawn", GCPRELOAD_CONF=str(conf)) as said:
        assert [said[name] for name in KIN] == [1, 1, 1]
        assert said["subprocess"] == 0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"GCPRELOAD_ONLY": "*spawns.py*"}, "has decided nothing yet"),
        ({"GCPRELOAD_ONLY": "*nobody-runs-this*"}, "GCPRELOAD_ONLY"),
        ({"GCPRELOAD_EXCEPT": "*spawns.py*"}, "that started it"),
    ],
    ids=str,
)
def test_doctor_agrees(
    settings: dict[str, str], word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    with spawning(system_python, ring_dir, "spawn", **settings) as said:
        done = run([COMMAND, "doctor", "--pid", str(said["pid"])], environment())
        assert word in done.stdout.decode()
        by_settings = re.search("^no    GCPRELOAD_", done.stdout.decode(), re.M)
        assert bool(by_settings) == word.startswith(("GCP", "that"))


def test_workers_of_uvicorn(system_python: Interpreter, ring_dir: Path) -> None:
    command = [venv("asgi", system_python), "-m", "uvicorn", "--port", "0", "--workers", "2"]
    command += ["--no-access-log", "--loop", "asyncio", "asgi:app"]
    env = environment(ring_dir, GCPRELOAD_ONLY="*uvicorn*")
    with UvicornServer(command, env):
        wait_for_state(ring_dir, "ready", 2)
