"""Where the library's own lines go: on standard error as it was, and nowhere else."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from lib.paths import DEADLINE
from lib.rings import ring_files
from lib.run import environment
from venvs import Interpreter

LOG_DROPPED = 288  # where the header of a ring counts lines that were dropped
BEFORE, AFTER = b"precious data\n", b"more data\n"

# A program that gives descriptor 2 another meaning, and becomes ready: which is worth a line.
SERVER = """
import os, select, socket, sys
if {close}:
    for fd in (0, 1, 2): os.close(fd)
    for fd in (0, 1): assert os.open('/dev/null', os.O_RDWR) == fd
{then}
listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
epoll = select.epoll(); epoll.register(listener, select.EPOLLIN)
for _ in range(2): epoll.poll(0.01)
{last}
os._exit(0)
"""
DATABASE = "assert os.open(sys.argv[1], os.O_RDWR | os.O_CREAT{flags}) == 2; os.write(2, {before})"
STOLEN = {
    "database": (DATABASE.format(flags="", before=BEFORE), f"os.write(2, {AFTER!r})"),
    "appended": (
        DATABASE.format(flags=" | os.O_APPEND", before=BEFORE),
        f"os.write(2, {AFTER!r})",
    ),
    "pipe-of-a-child": (
        "reading, writing = os.pipe(); os.dup2(reading, 9); os.dup2(writing, 2)\n"
        "if reading != 2: os.close(reading)\n"
        "if writing != 2: os.close(writing)\n"
        f"os.write(2, {BEFORE})",
        f"os.write(2, {AFTER}); text = os.read(9, 4096)\n"
        "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(fd, text)",
    ),
    "socket": (
        "ours, theirs = socket.socketpair(); os.dup2(theirs.fileno(), 9)\n"
        f"os.dup2(ours.fileno(), 2); os.write(2, {BEFORE})",
        f"os.write(2, {AFTER}); text = os.read(9, 4096)\n"
        "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(fd, text)",
    ),
}


def dropped(ring_dir: Path) -> int:
    (ring,) = ring_files(ring_dir)
    return int(struct.unpack_from("<Q", ring.read_bytes(), LOG_DROPPED)[0])


def serve(python: Interpreter, ring_dir: Path, script: str, *words: Path, stderr: int) -> None:
    env = environment(ring_dir, GCPRELOAD_LOG="info")
    done = subprocess.run(
        [python.path, "-c", script, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stderr=stderr,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.parametrize("what", STOLEN)
def test_what_has_got_descriptor_2_is_not_written_to(
    what: str, python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    then, last = STOLEN[what]
    script = SERVER.format(close=True, then=then, last=last)
    database = tmp_path / "database"
    with (tmp_path / "stderr").open("wb") as stderr:
        serve(python, ring_dir, script, database, stderr=stderr.fileno())
    assert database.read_bytes() == BEFORE + AFTER
    assert (tmp_path / "stderr").read_bytes() == b""
    assert dropped(ring_dir) > 0


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_file_that_was_stderr_is_written_to(
    mode: str, python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    script = SERVER.format(close=False, then="", last="os.write(2, b'the end')")
    path = tmp_path / "stderr"
    with path.open(mode) as stderr:
        serve(python, ring_dir, script, stderr=stderr.fileno())
    lines = path.read_text().splitlines()
    assert lines[-1] == "the end"
    assert lines[0].startswith("gcpreload[")
    assert dropped(ring_dir) == 0


def test_a_program_without_stderr_gets_none(
    python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Descriptor 2 was closed from the beginning: what is opened first has it."""
    then, last = STOLEN["database"]
    script = SERVER.format(close=False, then=then, last=last)
    command = [
        "sh",
        "-c",
        'exec "$@" 2>&-',
        "sh",
        python.path,
        "-c",
        script,
        tmp_path / "database",
    ]
    env = environment(ring_dir, GCPRELOAD_LOG="info")
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert (tmp_path / "database").read_bytes() == BEFORE + AFTER
