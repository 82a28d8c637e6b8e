"""GCPRELOAD_LOG_FORMAT=json: each line is a JSON object, whatever is in it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from lib.puppet import Puppet
from lib.run import environment, run
from venvs import Interpreter

PROGRAM = """
import gc, locale, os, sys
try:
    locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
except locale.Error:
    pass
print(os.getpid())
heap = [[] for _ in range(300000)]


def {name}():
    gc.collect()


{name}()
"""


def lines(python: Interpreter, program: Path, **settings: str) -> tuple[int, list[dict[str, Any]]]:
    settings = {"GCPRELOAD_SLOW_MS": "1", "GCPRELOAD_LOG_FORMAT": "json", **settings}
    env = environment("/dev/shm", GCPRELOAD_RING="off", **settings)
    done = run([python.path, program], env)
    assert done.returncode == 0, done.stderr
    return int(done.stdout), [json.loads(line) for line in done.stderr.decode().splitlines()]


def test_fields(python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(name="here"))
    before = datetime.now(timezone.utc)
    pid, found = lines(python, program, GCPRELOAD_SERVICE="shop")
    (line,) = [line for line in found if line.get("cause") == "explicit"]
    when = datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert before - timedelta(seconds=1) <= when <= datetime.now(timezone.utc)
    assert (line["level"], line["service"], line["pid"]) == ("warning", "shop", pid)
    assert (line["generation"], line["collected"], line["thread"]) == (2, 0, pid)
    assert line["duration_ms"] >= 1
    assert (line["file"], line["line"], line["function"]) == (str(program), 12, "here")
    assert line["new_objects"] >= 0
    assert "trace_id" not in line
    said = f"slow collection: generation 2, {line['duration_ms']:.1f} ms, explicit, 0 collected, "
    assert line["message"].startswith(said)
    assert line["message"].endswith(f", at {program}:12 in here")


def test_other_lines(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(name="here"))
    said = lines(system_python, program, GCPRELOAD_NAME="x", GCPRELOAD_SLOW_MS="0")[1]
    assert [(line["level"], "service" in line) for line in said] == [("warning", False)]
    assert said[0]["message"].startswith("GCPRELOAD_NAME is not a setting of gcpreload")


def test_a_name_that_was_made(system_python: Interpreter, ring_dir: Path) -> None:
    """Once there is a ring, which has it, too."""
    log = ring_dir / "log"
    settings = {"GCPRELOAD_LOG_FORMAT": "json", "GCPRELOAD_LOG_FILE": str(log)}
    with Puppet(system_python, ring_dir, GCPRELOAD_SLOW_MS="1", **settings) as puppet:
        puppet.do("one = listen()", "arm(one)", "keep(400000)", "gc.collect()")
        name = puppet.shown().service["name"]
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert name
    assert name == [line for line in said if line.get("cause") == "explicit"][-1]["service"]


@pytest.mark.parametrize(
    "name",
    [
        'a"b\\c.py',
        "a\nb\t\x1b\x7f.py",
        "ä€\U0001f40d.py",
        "x" * 250 + ".py",  # cut, as in text
        "é" * 120 + ".py",
        "\x01" * 240 + ".py",  # so many escapes that the field is left out
    ],
)
def test_odd_texts(system_python: Interpreter, tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text(PROGRAM.format(name="f" * 200))
    _, found = lines(system_python, program, GCPRELOAD_SERVICE='s"\\\x1f' + "ü" * 80)
    (line,) = [line for line in found if line.get("cause") == "explicit"]
    cut = str(program).encode()[:255].decode(errors="replace")
    assert line.get("file", cut) == cut
    assert line["function"] == "f" * 127
    assert line["service"].startswith('s"\\\x1füüü')
    assert line["message"].startswith("slow collection: generation 2, ")


def test_bytes_that_are_no_text(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(name="here"))
    _, found = lines(system_python, program, GCPRELOAD_SERVICE="a\udcff\udce2b")
    assert {line["service"] for line in found} == {"a\ufffd\ufffdb"}


def test_text_is_the_default(system_python: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(name="here"))
    for settings in ({}, {"GCPRELOAD_LOG_FORMAT": "text"}):
        env = environment("/dev/shm", GCPRELOAD_RING="off", GCPRELOAD_SLOW_MS="1", **settings)
        said = run([system_python.path, program], env).stderr.decode().splitlines()
        assert said
        assert all(re.match(r"gcpreload\[\d+\]: slow collection: ", line) for line in said)
