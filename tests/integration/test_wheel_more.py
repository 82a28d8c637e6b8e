"""What takes minutes, and runs with --all only: packages made again, from sources, for aarch64."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from lib.debian import other_debian
from lib.packages import Installed, done, in_venv, made
from lib.paths import APPS, ROOT, SET_UP_DEADLINE
from lib.rings import Process, ps
from lib.run import environment, run
from lib.server import Server
from test_wheel import FREEZE, auditwheel, without_it
from venvs import Interpreter, venv

READY_ONCE = APPS / "ready_once.py"


@pytest.fixture(autouse=True, scope="module")
def only_with_all(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--all"):
        pytest.skip("it takes minutes: --all")


def make(*words: str | Path) -> str:
    return done(run(["make", "-j2", "-C", ROOT, *words], environment(), deadline=SET_UP_DEADLINE))


def test_the_same_wheel_twice(tmp_path: Path) -> None:
    """Also elsewhere: no path of the build is in it."""
    first = made("wheel")
    make("wheel", f"B={tmp_path}")
    assert (tmp_path / "dist" / first.name).read_bytes() == first.read_bytes()


def measured(ring_dir: Path) -> list[Process]:
    """Also what has ended; not what else runs on this machine."""
    return [process for process in ps(ring_dir, "--all") if process.file]


# ---- the source release ----


def only_gcc(into: Path) -> str:
    """A PATH with nothing but a compiler, and what it calls."""
    into.mkdir()
    for name in ("cc", "gcc", "as", "ld"):
        (into / name).symlink_to(shutil.which(name))
    return str(into)


def test_pip_builds_the_source_release_with_gcc_alone(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    installed = in_venv(system_python, tmp_path / "installed")
    installed.env = environment(PATH=only_gcc(tmp_path / "bin"))
    assert shutil.which("make", path=installed.env["PATH"]) is None
    installed.install(made("sdist"))
    is_used(installed, ring_dir)


def is_used(installed: Installed, ring_dir: Path) -> None:
    env = {**environment(ring_dir, **FREEZE), "LD_PRELOAD": ""}
    said = done(run([installed.command, "run", "--", installed.python, READY_ONCE], env))
    assert json.loads(said)["thresholds"][0] == 50000
    (process,) = measured(ring_dir)
    assert process.python.startswith("3.")


def test_make_in_the_unpacked_source_release(tmp_path: Path) -> None:
    """Nothing that make reads is left out."""
    with tarfile.open(made("sdist")) as archive:
        archive.extractall(tmp_path)
    (unpacked,) = tmp_path.iterdir()
    words = ["make", "-j2", "-C", unpacked, "all", "install", f"DESTDIR={tmp_path}/root"]
    done(run(words, environment(), deadline=SET_UP_DEADLINE))
    command = tmp_path / "root" / "usr" / "local" / "bin" / "gcpreload"
    assert done(run([command, "path"], environment())).startswith(
        f"{tmp_path}/root/usr/local/lib/"
    )


# ---- aarch64, in an emulator ----

QEMU = "qemu-aarch64"


@pytest.fixture(scope="module")
def arm64() -> Path:
    return other_debian("aarch64", "debian-arm64")


@pytest.fixture(scope="module")
def installed_for_arm64(arm64: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's directory: pip would refuse it here."""
    into = tmp_path_factory.mktemp("aarch64")
    shutil.unpack_archive(made("wheel-aarch64"), into, "zip")
    for file in [*into.glob("*/*/gcpreload"), *into.glob("*/*/*.so")]:
        file.chmod(0o755)
    return into / "gcpreload"


def test_the_name_of_the_wheel_for_aarch64(arm64: Path, system_python: Interpreter) -> None:
    wheel = made("wheel-aarch64")
    assert wheel.name.endswith("-py3-none-manylinux_2_17_aarch64.whl")
    assert 'platform tag: "manylinux_2_17_aarch64"' in auditwheel(wheel, system_python)


@pytest.mark.parametrize("mode", ["freeze", "concurrent"])
def test_a_python_for_aarch64(
    mode: str, installed_for_arm64: Path, arm64: Path, ring_dir: Path
) -> None:
    """The emulator has no seccomp, so the copy that finds garbage is not tried here."""
    emulator = [QEMU, "-L", arm64]
    library = installed_for_arm64 / "lib" / "libgcpreload.so"
    settings = [f"LD_PRELOAD={library}", f"GCPRELOAD_MODE={mode}", f"GCPRELOAD_DIR={ring_dir}"]
    words = [word for setting in [*settings, "GCPRELOAD_YOUNG_MS=0"] for word in ("-E", setting)]
    (python,) = (arm64 / "usr" / "bin").glob("python3.[0-9]*")
    said = json.loads(done(run([*emulator, *words, python, READY_ONCE], environment())))
    assert said["frozen"] > 1000
    (process,) = measured(ring_dir)
    assert process.mode == mode
    assert process.fired.startswith("auto: ")
    command = installed_for_arm64 / "bin" / "gcpreload"
    shown = done(
        run([*emulator, command, "ps", "--all", "--json", "--dir", ring_dir], environment())
    )
    assert process.file in {one["file"] for one in json.loads(shown)}
    assert done(run([*emulator, command, "path"], environment())) == f"{library}\n"


def test_gunicorn_for_aarch64(
    installed_for_arm64: Path, arm64: Path, system_python: Interpreter, ring_dir: Path
) -> None:
    """Workers are children that count for themselves. gunicorn is the same for any processor."""
    library = installed_for_arm64 / "lib" / "libgcpreload.so"
    (python,) = (arm64 / "usr" / "bin").glob("python3.[0-9]*")
    home = Path(venv("gunicorn", system_python)).parents[1]
    (packages,) = home.glob("lib/python*/site-packages")
    words = [QEMU, "-L", arm64, "-E", f"LD_PRELOAD={library}", python, "-m", "gunicorn"]
    env = without_it({"PYTHONPATH": str(packages)}, ring_dir)
    with Server([*words, "-b", "127.0.0.1:0", "-w", "2", "wsgi:app"], env) as server:
        workers = server.workers_in_state("ready", ring_dir)
        assert all(worker.thresholds[0] == 50000 for worker in workers)
        assert server.get("/").startswith("hello")
        assert server.terminate() == 0


# What the emulator does not have: /proc/PID/stat as the kernel writes it, memory limits, seccomp.
NOT_EMULATED = {
    "test_base": {"test_a_name_that_looks_like_the_rest"},
    "test_graph_large": {"in_a_child"},
}
LEFT_OUT = {"test_marker"}  # each of it needs seccomp


def test_unit_tests_for_aarch64(arm64: Path) -> None:
    into = ROOT / "build" / "wheel" / "aarch64-check"
    words = [f"B={into.relative_to(ROOT)}", f"CC=aarch64-linux-gnu-gcc --sysroot={arm64}"]
    make("check", *words, "PKG_CONFIG=false", "san=", "RUN=true")
    programs = [p for p in (into / "unit").glob("test_*") if not p.suffix]
    assert len(programs) > 30
    for program in programs:
        if program.name not in LEFT_OUT:
            tried = run([QEMU, "-L", arm64, program], environment())
            said = tried.stdout + tried.stderr
            failed = set(re.findall(rb"\[  FAILED  \] ([a-z_]+)", said))
            expected = NOT_EMULATED.get(program.name, set())
            assert {name.decode() for name in failed} == expected, said.decode()
            assert tried.returncode == len(expected), said.decode()
