"""Settings that cannot be used, directories that cannot hold a ring, files that are none."""

from __future__ import annotations

import json
import os
import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from lib.mounts import need_mounts
from lib.paths import APPS
from lib.rings import command, ps, ring_files
from lib.run import Completed, environment, files_below, run
from lib.server import gunicorn
from lib.settings import SETTINGS
from venvs import Interpreter

READY_ONCE = APPS / "ready_once.py"


def assert_tuned(done: Completed[bytes], adapted: bool = False) -> None:
    """The application ran, with the defaults. adapted: threshold0 by what collections take."""
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["thresholds"][0] == 50000) != adapted
    assert report["frozen"] > 1000


def assert_untuned(done: Completed[bytes]) -> None:
    """The application ran, with the interpreter's own collector."""
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["thresholds"][0] != 50000
    assert report["frozen"] < 1000


def the_line(done: Completed[bytes]) -> str:
    """The only line on stderr."""
    text = done.stderr.decode(errors="replace")
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    assert re.match(r"gcpreload\[\d+\]: ", text)
    assert all(c.isprintable() for c in text[:-1]), "it would write to somebody's terminal"
    return text


# ---- settings ----

BAD: dict[str, list[str]] = {
    "DISABLE": ["2", "perhaps"],
    "MODE": ["frezze", "parallel", "off,", ""],
    "TRIGGER": [
        *("sometimes", "auto,", "import:", "signal:NONSENSE", "delay:", "delay:-1", "delay:x"),
        *("accepts:0", "accepts:x", "auto+x", "auto,auto2"),
    ],
    "THRESHOLDS": [
        *("50000", "1,2,3,4", "0,10,10", "a,b,c", "50000,keep", "99999999999,1,1"),
        *("-1,2,3", " 1,2,3", "1,2,3 ", "1,,3", "keep,keep,keeps", ""),
    ],
    "YOUNG_MS": ["-1", "x", "1000001", "1m"],
    "BUDGET_MS": ["0", "x", "10m"],
    "PAUSE_MS": ["0", "0.09", "1.", "x", "1000000.5", "1h"],
    "GROWTH": ["-1", "100.5", "30 %", "x", ""],
    "BASELINE": ["-1", "x", "1000001", "1w", "30m1h"],
    "ONLY": ["*[gunicorn"],
    "EXCEPT": ["*[celery"],
    "FORCE": ["2", "perhaps"],
    "STARTUP_GC": ["2", "perhaps"],
    "SAMPLE": ["2", "1.1", "-1", "1O%", "0.5x", "1e-3", "1/0", ""],
    "SAMPLE_BY": ["host", ""],
    "SAMPLE_INDEX": ["-1", "1000000", "web-3"],
    "SAMPLE_SALT": [],
    "RING": ["maybe"],
    "DIR": ["relative/path", "."],
    "GROUP": ["staff", "-1", "1x"],
    "SERVICE": [],
    "SLOW_MS": ["-1", "x", "1m"],
    "SLOW_CENSUS": ["2", "maybe"],
    "LOG": ["loud"],
    "LOG_FORMAT": ["xml"],
    "LOG_FILE": ["relative/path"],
    "CONF": ["relative/path"],
}


ALLOWED = {setting.name: setting.allowed for setting in SETTINGS}
SAFE = {setting.name for setting in SETTINGS if setting.safe}
BAD_SETTINGS = [(name, value) for name in ALLOWED for value in BAD.get(name, [])]


def test_every_setting_is_tested() -> None:
    assert set(ALLOWED) == set(BAD)


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_bad_value(name: str, value: str, system_python: Interpreter, ring_dir: Path) -> None:
    """One line that names the setting, the value and what is allowed. Nothing is tuned where the
    setting says what is, else the default is used."""
    env = environment(ring_dir, GCPRELOAD_RING="off")
    env[f"GCPRELOAD_{name}"] = value
    done = run([system_python.path, READY_ONCE], env)
    # Which the environment of the tests does not, but for this one.
    if name in SAFE:
        assert_untuned(done)
    else:
        assert_tuned(done, adapted=name == "YOUNG_MS")
    line = the_line(done)
    assert f"GCPRELOAD_{name}" in line
    assert value in line
    assert ALLOWED[name] in line


@pytest.mark.parametrize("value", ["two\nlines", "\x1b[31mred", "\xff\xfe", "long" * 30000])
def test_strange_value(value: str, system_python: Interpreter, ring_dir: Path) -> None:
    done = run([system_python.path, READY_ONCE], environment(ring_dir, GCPRELOAD_MODE=value))
    assert_untuned(done)
    assert "GCPRELOAD_MODE" in the_line(done)


@pytest.mark.parametrize("name", ["ONLY", "EXCEPT"])
def test_more_globs_than_there_is_room_for(
    name: str, system_python: Interpreter, ring_dir: Path
) -> None:
    """Left out, they would match nothing, and everything would be tuned."""
    env = environment(ring_dir, **{f"GCPRELOAD_{name}": "*nobody*,*ready_once*," * 2000})
    done = run([system_python.path, READY_ONCE], env)
    assert_untuned(done)
    assert f"GCPRELOAD_{name}" in the_line(done)


@pytest.mark.parametrize("glob", ["*" + "a" * 511, "*" * 600])
def test_a_glob_that_is_too_long(glob: str, system_python: Interpreter, ring_dir: Path) -> None:
    env = environment(ring_dir, GCPRELOAD_EXCEPT=glob)
    done = run([system_python.path, READY_ONCE], env)
    assert_untuned(done)
    assert "GCPRELOAD_EXCEPT" in the_line(done)


@pytest.mark.parametrize("name", ["GCPRELOAD_MODUS", "GCPRELOAD_", "GCPRELOAD_mode"])
def test_unknown_setting(name: str, system_python: Interpreter, ring_dir: Path) -> None:
    done = run([system_python.path, READY_ONCE], environment(ring_dir, **{name: "1"}))
    assert_tuned(done)
    assert name in the_line(done)


def test_one_line_for_a_whole_gunicorn(system_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(system_python, ring_dir, GCPRELOAD_MODE="nonsense") as server:
        assert server.output().count("GCPRELOAD_MODE") == 1


def test_two_mistakes_two_lines(system_python: Interpreter, ring_dir: Path) -> None:
    env = environment(ring_dir, GCPRELOAD_RING="x", GCPRELOAD_THRESHOLDS="y")
    done = run([system_python.path, READY_ONCE], env)
    assert_tuned(done)
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("program", [["true"], ["sh", "-c", "true"], ["git", "--version"]])
def test_nothing_is_said_where_there_is_no_python(program: list[str], ring_dir: Path) -> None:
    done = run(program, environment(ring_dir, GCPRELOAD_MODE="nonsense"))
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_line_can_be_silenced_or_sent_elsewhere(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE="nonsense", GCPRELOAD_LOG="none")
    done = run([system_python.path, READY_ONCE], env)
    assert_untuned(done)
    assert done.stderr == b""
    log = tmp_path / "log"
    env = environment(ring_dir, GCPRELOAD_MODE="nonsense", GCPRELOAD_LOG_FILE=str(log))
    done = run([system_python.path, READY_ONCE], env)
    assert_untuned(done)
    assert done.stderr == b""
    assert log.read_text().count("\n") == 1
    assert "nonsense" in log.read_text()


# ---- directories ----


def assert_no_ring(done: Completed[bytes], directory: Path | str) -> None:
    assert_tuned(done)
    line = the_line(done)
    assert "ring" in line
    assert str(directory) in line


def own_directory(ring_dir: Path) -> Path:
    return ring_dir / f"gcpreload-{os.geteuid()}"


def ready(python: Interpreter, directory: Path | str, *words: str) -> Completed[bytes]:
    return run([python.path, READY_ONCE, *words], environment(directory))


def test_missing(system_python: Interpreter, ring_dir: Path) -> None:
    directory = ring_dir / "not" / "there"
    assert_no_ring(ready(system_python, directory), directory)
    assert not directory.exists()


def test_a_file(system_python: Interpreter, ring_dir: Path) -> None:
    directory = ring_dir / "file"
    directory.write_text("")
    assert_no_ring(ready(system_python, directory), directory)


def test_not_tmpfs(system_python: Interpreter, disk_dir: Path) -> None:
    where = run(["stat", "-f", "-c", "%T", disk_dir], environment()).stdout.strip()
    if where == b"tmpfs":
        pytest.skip("the checkout is on tmpfs")
    done = ready(system_python, disk_dir)
    assert_no_ring(done, disk_dir)
    assert b"tmpfs" in done.stderr
    assert files_below(disk_dir) == []


def test_proc(system_python: Interpreter) -> None:
    assert_no_ring(ready(system_python, "/proc"), "/proc")


def test_owned_by_another_user(system_python: Interpreter, ring_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    own_directory(ring_dir).mkdir(0o777)
    os.chown(own_directory(ring_dir), 65534, 65534)
    assert_no_ring(ready(system_python, ring_dir), ring_dir)
    assert files_below(ring_dir) == []


def test_others_may_write_to_it(system_python: Interpreter, ring_dir: Path) -> None:
    own_directory(ring_dir).mkdir()
    own_directory(ring_dir).chmod(0o777)
    assert_no_ring(ready(system_python, ring_dir), ring_dir)
    assert files_below(ring_dir) == []


def test_symbolic_link(system_python: Interpreter, ring_dir: Path) -> None:
    elsewhere = ring_dir / "elsewhere"
    elsewhere.mkdir(0o700)
    own_directory(ring_dir).symlink_to(elsewhere)
    assert_no_ring(ready(system_python, ring_dir), ring_dir)
    assert files_below(elsewhere) == []


def test_own_directory_is_a_file(system_python: Interpreter, ring_dir: Path) -> None:
    own_directory(ring_dir).write_text("")
    assert_no_ring(ready(system_python, ring_dir), ring_dir)


@pytest.mark.parametrize("options", ["size=64k", "ro", "nr_inodes=1"])
def test_full_or_read_only(options: str, system_python: Interpreter, ring_dir: Path) -> None:
    need_mounts()
    script = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec env "$@"'
    settings = [f"{k}={v}" for k, v in environment(ring_dir).items() if k[:3] in ("LD_", "GCP")]
    mounted = ["unshare", "-m", "sh", "-ec", script, "sh", options, ring_dir]
    done = run([*mounted, *settings, system_python.path, READY_ONCE], environment())
    assert_no_ring(done, ring_dir)


def test_limit_of_file_size(python: Interpreter, ring_dir: Path) -> None:
    """Past the limit a write is a signal, which hosts of Python's do not ignore."""
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
    done = run([*limited, python.path, READY_ONCE, "embedder"], environment(ring_dir))
    assert_no_ring(done, ring_dir)
    assert files_below(ring_dir) == []


def test_limit_of_descriptors(python: Interpreter, ring_dir: Path) -> None:
    assert_no_ring(ready(python, ring_dir, "few_descriptors"), ring_dir)
    assert files_below(ring_dir) == []


def test_ring_required(system_python: Interpreter, ring_dir: Path) -> None:
    """Without one, nothing is tuned, and one line says so."""
    env = environment(ring_dir / "missing", GCPRELOAD_RING="require")
    done = run([system_python.path, READY_ONCE], env)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["frozen"] < 1000
    assert report["thresholds"][0] != 50000
    assert "GCPRELOAD_RING=require" in the_line(done)


# ---- files ----

MAJOR, TOTAL_SIZE, SERIES_OFFSET, N_SLOTS = 12, 20, 24, 64


@pytest.fixture
def good(system_python: Interpreter, ring_dir: Path) -> Path:
    """The ring of a process that has ended."""
    assert_tuned(ready(system_python, ring_dir))
    (path,) = ring_files(ring_dir)
    return path


def patched(ring: bytes, offset: int, kind: str, value: int) -> bytes:
    data = bytearray(ring)
    struct.pack_into(kind, data, offset, value)
    return bytes(data)


def bad_rings(ring: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "noise": random.Random(1).randbytes(len(ring)),
        "zeros": bytes(len(ring)),
        "cut short in the header": ring[:100],
        "cut short after the header": ring[:4096],
        "cut short in the slots": ring[:-4096],
        "later version": patched(ring, MAJOR, "=H", 2),
        "later magic": b"GCPRING2" + ring[8:],
        "unfinished": bytes(8) + ring[8:],
        "huge": patched(ring, TOTAL_SIZE, "=I", 0xFFFFFFFF),
        "slots beyond": patched(ring, N_SLOTS, "=I", 0x7FFFFFFF),
        "series beyond": patched(ring, SERIES_OFFSET, "=I", 0xFFFFFF00),
    }


def assert_told(ring_dir: Path, good: Path, bad: Sequence[Path]) -> None:
    listed = {Path(p.file): p for p in ps(ring_dir, "--all") if p.file}
    assert listed[good].state == "exited"
    for path in bad:
        assert listed[path].reason, f"{path.name} is shown without a reason"
        assert listed[path].state != "exited"
    text = command("ps", "--all", "--dir", ring_dir)
    assert text.returncode == 0
    for path in bad:
        assert path.name in text.stdout.decode() + text.stderr.decode()
    for words in (["report"], ["report", "--json"], ["clean"]):
        done = command(*words, "--dir", ring_dir)
        assert done.returncode in (0, 1), f"{words} ended with {done.returncode}"


def test_files_that_are_no_rings(good: Path, ring_dir: Path) -> None:
    bad = []
    for number, content in enumerate(bad_rings(good.read_bytes()).values()):
        bad.append(good.parent / f"{100000000 + number}.1.{number:08x}")
        bad[-1].write_bytes(content)
    assert_told(ring_dir, good, bad)


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_things_that_are_no_files(kind: str, good: Path, ring_dir: Path) -> None:
    bad = good.parent / "100000000.1.00000001"
    if kind == "directory":
        bad.mkdir()
    elif kind == "fifo":
        os.mkfifo(bad)
    else:
        bad.symlink_to(good)
    assert_told(ring_dir, good, [bad])


def test_other_names_are_left_alone(good: Path, ring_dir: Path) -> None:
    for name in ("README", ".hidden", "x.y.z"):
        (good.parent / name).write_text("mine")
    assert command("clean", "--dir", ring_dir).returncode == 0
    assert {"README", ".hidden", "x.y.z"} <= {path.name for path in good.parent.iterdir()}
    assert not good.exists()
