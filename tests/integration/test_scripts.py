"""A newcomer's first commands: scripts/setup, scripts/demo, scripts/test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from lib.paths import DEADLINE, ROOT
from lib.run import clean_environment, run, wait_for
from lib.server import children

DEMO = ROOT / "scripts" / "demo"
SHORT = ["--rounds", "1", "--seconds", "2", "--rate", "40"]


def family(pid: int) -> list[int]:
    """Of a process: its children, theirs, and so on."""
    return [one for child in children(pid) for one in (child, *family(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rings_of(demo: subprocess.Popen[bytes]) -> list[Path]:
    return list(Path("/dev/shm").glob(f"gcpreload-demo-{demo.pid}-*"))


def start_demo(*options: str, output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [DEMO, *options],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def test_demo_prints_its_table() -> None:
    demo = start_demo(*SHORT)
    said, _ = demo.communicate(timeout=2 * DEADLINE)
    text = said.decode()
    assert demo.returncode == 0, text
    rows = dict(re.findall(r"^ *(stock|gcpreload)  +(.*)$", text, re.MULTILINE))
    assert set(rows) == {"stock", "gcpreload"}
    young = {name: int(re.findall(r"(\d+)/\d+/\d+", row)[0]) for name, row in rows.items()}
    assert young["gcpreload"] < young["stock"]
    assert "\n0 requests failed" in text
    assert "\r" not in text, "lines are written over, and this is no terminal"
    for head in ("GC share", "collections", "longest", "RSS", "PSS", "p50", "p95", "p99"):
        assert head in text
    assert "build/gcpreload ps" in text
    assert rings_of(demo) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_demo_cleans_up_after_itself(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        demo = start_demo("--seconds", "60", output=output.fileno())
    try:
        wait_for("gunicorn's workers", lambda: len(family(demo.pid)) >= 3)
        wait_for("its rings", lambda: rings_of(demo))
        everyone = family(demo.pid)
    finally:
        demo.send_signal(number)
        status = demo.wait(DEADLINE)
    assert status == 128 + number, log.read_text()
    assert [pid for pid in everyone if is_alive(pid)] == []
    assert rings_of(demo) == []
    assert "Traceback" not in log.read_text()


def test_nothing_of_a_killed_demo_stays(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        demo = start_demo("--seconds", "60", output=output.fileno())
    try:
        wait_for("gunicorn's workers", lambda: len(family(demo.pid)) >= 3)
        wait_for("its rings", lambda: rings_of(demo))
        everyone = family(demo.pid)
    finally:
        demo.kill()
        demo.wait(DEADLINE)
    wait_for("their end", lambda: not [pid for pid in everyone if is_alive(pid)])
    wait_for("the end of the rings", lambda: not rings_of(demo))


@pytest.mark.parametrize("script", ["demo", "setup"])
def test_ctrl_c_while_an_environment_is_made(script: str, tmp_path: Path) -> None:
    """In a checkout that has none yet: pip asks a server that never answers."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    with socket.create_server(("127.0.0.1", 0)) as mute, (tmp_path / "log").open("wb") as log:
        mute.settimeout(DEADLINE)
        (tmp_path / "scripts" / "requirements" / "demo.txt").write_text(
            f"--index-url http://127.0.0.1:{mute.getsockname()[1]}/\nnothing\n"
        )
        run_by = subprocess.Popen(
            [tmp_path / "scripts" / script, *(["demo"] if script == "setup" else [])],
            env={**clean_environment(), "no_proxy": "*"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        connection, _ = mute.accept()
        everyone = family(run_by.pid)
        os.killpg(run_by.pid, signal.SIGINT)  # as a terminal does it
        status = run_by.wait(DEADLINE)
        connection.close()
    first, *rest = (tmp_path / "log").read_text().splitlines()
    assert first.startswith("setup: making build/venv/demo-")
    assert rest == ["setup: interrupted"]
    assert status == 130
    assert [pid for pid in everyone if is_alive(pid)] == []
    assert list((tmp_path / "build" / "venv").glob("demo-*")) == []


@pytest.mark.parametrize("options", [["--rounds", "0"], ["--nonsense"], ["--rate", "x"]])
def test_demo_says_what_is_wrong(options: list[str]) -> None:
    done = run([DEMO, *options], clean_environment())
    assert done.returncode == 2
    assert b"usage: scripts/demo" in done.stderr


def test_setup_is_silent_when_all_is_there() -> None:
    for what in ("build", "demo", "test"):
        done = run([ROOT / "scripts" / "setup", what], clean_environment())
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def only_installed(tools: Path, *packages: str) -> None:
    """In tools: a dpkg-query that knows no other packages, and nobody is root."""
    known = "\n".join(f"{name} installed" for name in packages)
    (tools / "dpkg-query").write_text(f"#!/bin/sh\ncat <<'END'\n{known}\nEND\n")
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    (tools / "sudo").write_text("#!/bin/sh\nexit 1\n")
    for name in ("dpkg-query", "id", "sudo"):
        (tools / name).chmod(0o755)


def test_the_demo_needs_what_the_core_needs(tmp_path: Path) -> None:
    """Not what gcpreload-export and gcpreload-top need besides."""
    python = ("python3", "python3-venv", "ca-certificates")
    only_installed(tmp_path, "gcc", "make", "libc6-dev", *python)
    env = clean_environment()
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    done = run([ROOT / "scripts" / "setup", "demo"], env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_setup_tells_what_to_type_where_it_may_not(tmp_path: Path) -> None:
    """Not root, no sudo, and packages are missing."""
    for tool in ("cat", "dirname", "awk", "sed", "mkdir"):
        for directory in os.defpath.split(":"):
            if os.path.exists(f"{directory}/{tool}"):
                (tmp_path / tool).unlink(missing_ok=True)
                (tmp_path / tool).symlink_to(f"{directory}/{tool}")
    only_installed(tmp_path, "make")
    env = {**clean_environment(), "PATH": str(tmp_path)}
    done = run(["/bin/sh", ROOT / "scripts" / "setup", "build"], env)
    assert done.returncode == 1
    assert (
        b"apt-get update && apt-get install -y gcc libc6-dev pkg-config libcurl4-openssl-dev "
        b"libmicrohttpd-dev libncurses-dev zlib1g-dev\n" in done.stderr
    )


def test_setup_refuses_what_it_does_not_know() -> None:
    done = run([ROOT / "scripts" / "setup", "nonsense"], clean_environment())
    assert done.returncode == 2
    assert b"nonsense" in done.stderr


@pytest.mark.parametrize("script", ["setup", "test", "demo"])
def test_scripts_explain_themselves(script: str) -> None:
    done = run([ROOT / "scripts" / script, "--help"], clean_environment())
    assert done.returncode == 0
    assert f"scripts/{script}".encode() in done.stdout
