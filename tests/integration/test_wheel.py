"""The wheel: installed by pip in each way, used, and removed without a trace."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from lib.debian import other_debian
from lib.packages import DIST, WAYS, Installed, done, in_venv, made
from lib.paths import APPS, LIBRARY, ROOT
from lib.run import environment, files_below, run
from lib.server import Server
from venvs import Interpreter, venv

READY_ONCE = APPS / "ready_once.py"
FREEZE = {"GCPRELOAD_MODE": "freeze", "GCPRELOAD_YOUNG_MS": "0"}


@pytest.fixture(scope="module", autouse=True)
def wheel() -> Path:
    return made("wheel")


def auditwheel(wheel: Path, python: Interpreter) -> str:
    words = [venv("wheel", python), "-m", "auditwheel", "show", wheel]
    return " ".join(done(run(words, environment())).split())


def without_it(env: dict[str, str], ring_dir: Path) -> dict[str, str]:
    """Settings, and nothing preloaded."""
    settings = environment(ring_dir, **FREEZE)
    del settings["LD_PRELOAD"]
    return {**settings, **env}


@pytest.mark.parametrize("way", WAYS)
def test_installed_used_and_removed(
    way: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    installed = WAYS[way](system_python, tmp_path)
    before = files_below(installed.place)
    installed.install("gcpreload")
    library = installed.path()
    assert installed.place in library.parents
    assert library.parts[-3:] == ("gcpreload", "lib", LIBRARY.name)
    words = [installed.python, "-c", "import gcpreload; print(gcpreload.LIBRARY)"]
    assert done(run(words, installed.env)) == f"{library}\n"
    assert (
        done(run([installed.python, "-m", "gcpreload", "path"], installed.env)) == f"{library}\n"
    )
    # As the README has it, with the command on PATH.
    env = without_it(installed.env, ring_dir)
    env["PATH"] = f"{installed.command.parent}:{env['PATH']}"
    script = f'LD_PRELOAD=$(gcpreload path) exec "{installed.python}" "{READY_ONCE}"'
    assert json.loads(done(run(["sh", "-c", script], env)))["thresholds"][0] == 50000
    if way != "target":  # pip cannot: the directory is what is removed
        installed.uninstall()
        assert files_below(installed.place) == before


@pytest.fixture(scope="module")
def installed(system_python: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    one = in_venv(system_python, tmp_path_factory.mktemp("wheel"))
    one.install("gcpreload")
    return one


@pytest.mark.parametrize("how", ["gcpreload", "python -m gcpreload"])
def test_gunicorn_under_it(
    how: str, installed: Installed, system_python: Interpreter, ring_dir: Path
) -> None:
    start = [installed.command] if how == "gcpreload" else [installed.python, "-m", "gcpreload"]
    words = [*start, "run", "--", venv("gunicorn", system_python), "-m", "gunicorn"]
    words += ["-b", "127.0.0.1:0", "-w", "2", "wsgi:app"]
    with Server(words, without_it(installed.env, ring_dir)) as server:
        for worker in server.workers_in_state("ready", ring_dir):
            assert str(installed.path()) in Path(f"/proc/{worker.pid}/maps").read_text()
        assert server.get("/").startswith("hello")
        assert server.terminate() == 0


def test_its_name_promises_no_more_than_is_true(wheel: Path, system_python: Interpreter) -> None:
    """auditwheel knows what each manylinux has, and what the programs need."""
    said = auditwheel(wheel, system_python)
    major, minor = re.search(r'platform tag: "manylinux_(\d+)_(\d+)_', said).groups()
    assert (int(major), int(minor)) <= (2, 17), said
    assert "_2_17_" in wheel.name


def test_its_record_has_every_file(wheel: Path) -> None:
    """pip writes a new one; other installers compare it with what they unpack."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
        wanted = [f"{record},,"]
        for name in set(names) - {record}:
            data = archive.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            wanted.append(f"{name},sha256={digest},{len(data)}")
        assert sorted(archive.read(record).decode().splitlines()) == sorted(wanted)


def test_an_older_glibc(installed: Installed, ring_dir: Path) -> None:
    """A Debian 11: the command is not linked with a glibc at all, the library with an old one."""
    inside = [ROOT / "scripts" / "inside", other_debian("debian11")]
    settings = [f"{name}={value}" for name, value in FREEZE.items()]
    words = [*inside, "env", *settings, f"GCPRELOAD_DIR={ring_dir}", installed.command]
    said = done(run([*words, "run", "--", "python3", READY_ONCE], environment()))
    assert json.loads(said)["thresholds"][0] == 50000
    said = done(run([*inside, installed.command, "ps", "--all", "--dir", ring_dir], environment()))
    assert " 3.9." in said


def test_the_command_alone_for_musl(system_python: Interpreter, tmp_path: Path) -> None:
    """The library is for glibc: there `run` says so, and what reads measurements works."""
    wheel = made("wheel-musl")
    alone = in_venv(system_python, tmp_path)
    alone.install("--no-deps", "--target", tmp_path / "target", _as_any(wheel, tmp_path))
    command = tmp_path / "target" / "bin" / "gcpreload"
    found = run([command, "run", "--", "true"], environment())
    assert (found.returncode, found.stdout) == (1, b"")
    assert b"not in this package, which is for musl" in found.stderr
    done(run([command, "ps", "--all", "--dir", tmp_path], environment()))
    words = [system_python.path, "-c", "import gcpreload; print(gcpreload.LIBRARY)"]
    env = environment(PYTHONPATH=str(tmp_path / "target"))
    assert done(run(words, env)) == "None\n"


def _as_any(wheel: Path, into: Path) -> Path:
    """pip takes it only where Python runs on musl; its name is all that says so."""
    name = re.sub(r"musllinux_[^.]+", "any", wheel.name)
    (into / name).write_bytes(wheel.read_bytes())
    return into / name


def test_the_same_source_release_twice(tmp_path: Path) -> None:
    first = made("sdist").read_bytes()
    done(run(["make", "-C", ROOT, f"B={tmp_path}", "sdist"], environment()))
    (second,) = (tmp_path / "dist").iterdir()
    assert second.read_bytes() == first
    assert second.parent != DIST
