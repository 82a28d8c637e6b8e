"""Built where the compiler, glibc and libcurl are old: in a Debian 11, with what it has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lib.collector import COLLECTIONS, Collector, points
from lib.debian import other_debian
from lib.export import served
from lib.paths import APPS, BUILD, DEADLINE, ROOT, SET_UP_DEADLINE
from lib.puppet import Puppet
from lib.run import Completed, environment, run
from venvs import Interpreter

MADE = BUILD / "debian11-made"
READY_ONCE = APPS / "ready_once.py"


def inside(*command: str | Path, deadline: float = DEADLINE) -> Completed[bytes]:
    root = other_debian("debian11-build", "debian11")
    path = os.defpath.strip(":") + ":/usr/sbin:/sbin"
    words = [ROOT / "scripts" / "inside", root, *command]
    return run(words, environment(PATH=path), deadline=deadline)


@pytest.fixture(scope="module")
def made() -> Completed[bytes]:
    # Its compiler warns of what is none.
    done = inside("make", "-j2", "-C", ROOT, f"B={MADE}", "WERROR=", deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    return done


def test_only_what_lacks_a_library_is_left_out(made: Completed[bytes]) -> None:
    left_out = [line for line in made.stdout.decode().splitlines() if "left out" in line]
    assert left_out == ["top is left out: ncursesw is not here"]
    assert not (MADE / "gcpreload-top").exists()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("program", ["gcpreload", "gcpreload-export"])
def test_the_programs_run(program: str) -> None:
    done = inside(MADE / program, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: gcpreload")


@pytest.mark.usefixtures("made")
def test_the_library_works_there_and_here(system_python: Interpreter, ring_dir: Path) -> None:
    """Also with the newer glibc, in which the dl functions are elsewhere."""
    settings = {"LD_PRELOAD": MADE / "libgcpreload.so", "GCPRELOAD_MODE": "freeze"}
    settings["GCPRELOAD_YOUNG_MS"] = "0"
    words = [f"{name}={value}" for name, value in settings.items()]
    words.append(f"GCPRELOAD_DIR={ring_dir}")
    for done in (
        inside("env", *words, "python3", READY_ONCE),
        run(["env", *words, system_python.path, READY_ONCE], environment()),
    ):
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout)["thresholds"][0] == 50000


@pytest.mark.usefixtures("made")
def test_an_older_libcurl_pushes(system_python: Interpreter, ring_dir: Path) -> None:
    with Collector() as collector, Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        url = f"http://127.0.0.1:{collector.port}"
        words = ["--once", "--otlp", url, "--dir", ring_dir]
        done = inside(MADE / "gcpreload-export", *words)
        assert (done.returncode, done.stderr) == (0, b"")
        (request,) = collector.requests
        assert points(request.resources, COLLECTIONS)
        done = inside(
            MADE / "gcpreload-export", "--once", "--otlp", "file:///x", "--dir", ring_dir
        )
        assert done.returncode != 0
