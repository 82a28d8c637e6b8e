"""GCPRELOAD_SLOW_MS: each collection that took longer, with the line of Python in which it ran."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from pathlib import Path

from lib.paths import DEADLINE
from lib.run import environment, run
from venvs import Interpreter

LINE = re.compile(
    r"gcpreload\[\d+\]: slow collection: generation (\d), [\d.]+ ms, (\w+), (\d+) collected, "
    r"(\d+) new objects before, thread \d+(?:, at (.+):(\d+) in (\S+))?$"
)
# 300 000 objects take longer than a millisecond, wherever.
PROGRAM = """import gc

heap = [[] for _ in range(300000)]
gc.collect()
garbage = []
garbage.append(garbage)


def here():
    try:
        raise KeyError("kept")
    except KeyError as error:
        global garbage
        garbage = None
        gc.collect()
        assert error.args == ("kept",)


here()
gc.collect(0)
"""


def slow_lines(python: Interpreter, program: Path, **settings: str) -> list[tuple[str, ...]]:
    done = run([python.path, program], environment("/dev/shm", GCPRELOAD_RING="off", **settings))
    assert (done.returncode, done.stdout) == (0, b"")
    lines = done.stderr.decode().splitlines()
    found = [LINE.match(line) for line in lines]
    assert all(found), lines
    return [match.groups() for match in found if match]


def test_where_it_ran(python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "a program.py"
    program.write_text(PROGRAM)
    found = slow_lines(python, program, GCPRELOAD_SLOW_MS="1")
    # One of generation 0 takes less, but where the machine has other things to do.
    explicit = [match for match in found if match[1] == "explicit" and match[0] != "0"]
    assert [(g, path, line, name) for g, _, _, _, path, line, name in explicit] == [
        ("2", str(program), "4", "<module>"),
        ("2", str(program), "15", "here"),
    ]
    assert explicit[1][2] == "1"  # collected
    automatic = [match for match in found if match[1] == "automatic" and match[0] == "0"]
    assert all(int(match[3]) > 500 for match in automatic)


def test_nothing_is_said_unless_asked(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    for value in ("0", "1000000"):
        assert slow_lines(system_python, program, GCPRELOAD_SLOW_MS=value) == []


def test_an_odd_name_writes_no_second_line(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "a\nb\x1b[31m.py"
    program.write_text(PROGRAM)
    paths = [match[4] for match in slow_lines(system_python, program, GCPRELOAD_SLOW_MS="1")]
    assert str(tmp_path / "a?b?[31m.py") in paths


def test_a_full_pipe_stops_nobody(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(fcntl.fcntl(writing, 1032)))  # F_GETPIPE_SZ
    except BlockingIOError:
        os.set_blocking(writing, True)
    env = environment("/dev/shm", GCPRELOAD_RING="off", GCPRELOAD_SLOW_MS="1")
    done = subprocess.run(
        [system_python.path, program], env=env, stderr=writing, timeout=DEADLINE, check=False
    )
    os.close(reading)
    os.close(writing)
    assert done.returncode == 0
