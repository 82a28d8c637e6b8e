"""Programs that load libpython after their start, and run a server in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.hosts import WHERE
from lib.paths import APPS, LIBRARY
from lib.puppet import Puppet
from lib.rings import COUNTS, counted
from lib.run import environment, run
from venvs import Interpreter

SOURCE = APPS / "late_host.c"
HOWS = ["global", "local", "again", "handle"]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("late") / "host"
    subprocess.run(["cc", "-Wall", "-o", program, SOURCE, "-ldl"], check=True)
    return program


def host_command(
    python: Interpreter, host: Path, how: str, tmp_path: Path
) -> tuple[list[str | Path], dict[str, str]]:
    """What is to be run, and where that Python's own files are."""
    if not python.shared:
        pytest.skip("linked statically: it has no libpython.so to load")
    prefix, library = json.loads(run([python.path, "-c", WHERE], environment()).stdout)
    loaded = library
    if how != "handle":
        loaded = tmp_path / "plugin.so"
        build = ["cc", "-Wall", "-shared", "-fPIC", "-DPLUGIN", "-o", loaded, SOURCE, library]
        subprocess.run([*build, f"-Wl,-rpath,{Path(library).parent}"], check=True)
    return [host, how, loaded, APPS / "puppet.py"], {"PYTHONHOME": prefix}


@pytest.mark.parametrize("how", HOWS)
def test_late_host(
    python: Interpreter, how: str, host: Path, ring_dir: Path, tmp_path: Path
) -> None:
    program, extra = host_command(python, host, how, tmp_path)
    with Puppet(python, ring_dir, program=program, extra=extra) as puppet:
        puppet.do("one = listen()")
        shown = puppet.wait_for("ready", "arm(one)")
        assert ("late" in shown.flags) == (how == "handle")
        assert shown.python == ".".join(map(str, python.version))
        assert shown.thresholds[0] == puppet.collector()["thresholds"][0] == 50000
        assert puppet.frozen()
        before = shown.counts()
        puppet.do("gc.disable()", "old = gc.get_stats()", "gc.collect(); gc.collect(1)")
        new, old = puppet.do("[gc.get_stats(), old]")
        seen = puppet.shown().counts()
        for generation in range(3):
            for name in COUNTS:
                grown = new[generation][name] - old[generation][name]
                assert seen[generation][name] - before[generation][name] == grown
        if how in ("global", "local"):
            assert seen == counted(new)
        if how == "again":
            # gc.get_stats() forgets the runtime that ended; the process has collected in both.
            assert seen[0]["collections"] > new[0]["collections"]
        assert puppet.errors() == ""
        assert puppet.end() == 0


@pytest.mark.parametrize("how", HOWS)
def test_the_host_behaves_as_without(
    python: Interpreter, how: str, host: Path, ring_dir: Path, tmp_path: Path
) -> None:
    program, extra = host_command(python, host, how, tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        "import gc, os, sys\n"
        "print(len(sys.modules), 'gc' in sys.modules, gc.get_threshold())\n"
        "print(sorted(os.listdir('/proc/self/fd')))\n"
        "class Cycle:\n    def __del__(self): print('finalized')\n"
        "one = Cycle(); one.me = one\n"
        "sys.stderr.write('err')\n"
    )
    program[-1] = script
    stock = run(program, {**environment(), **extra})
    ours = run(program, {**environment(ring_dir), **extra})
    assert (ours.stdout, ours.stderr, ours.returncode) == (
        stock.stdout,
        stock.stderr,
        stock.returncode,
    )
    assert stock.returncode == 0
    assert b"finalized" in stock.stdout
    assert list(ring_dir.iterdir()) == []


LATE_SERVER = """
import select, socket
listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
epoll = select.epoll(); epoll.register(listener, select.EPOLLIN)
for _ in range(2): epoll.poll(0.01)
"""


@pytest.mark.parametrize("stderr", ["pipe", "appended", "file"])
@pytest.mark.parametrize("how", HOWS)
def test_what_is_taken_for_standard_error(
    python: Interpreter, how: str, stderr: str, host: Path, ring_dir: Path, tmp_path: Path
) -> None:
    """Nobody knows what descriptor 2 was when the host began: a file may be its database."""
    program, extra = host_command(python, host, how, tmp_path)
    program[-1] = tmp_path / "script.py"
    program[-1].write_text(LATE_SERVER)
    env = {**environment(ring_dir, GCPRELOAD_MODE="nonsense"), **extra}
    path = tmp_path / "stderr"
    if stderr == "pipe":
        path.write_bytes(run(program, env).stderr)
    else:
        with path.open("ab" if stderr == "appended" else "wb") as file:
            subprocess.run(program, env=env, stderr=file, check=True)
    said = path.read_text()
    assert said.count("GCPRELOAD_MODE=nonsense") == (0 if stderr == "file" else 1), said


@pytest.mark.parametrize("how", ["global", "local"])
def test_two_copies_of_the_library(
    python: Interpreter, how: str, host: Path, ring_dir: Path, tmp_path: Path
) -> None:
    """Under different names: each once took the other for the interpreter, without end."""
    program, extra = host_command(python, host, how, tmp_path)
    copy = tmp_path / "libother.so"
    shutil.copy(LIBRARY, copy)
    extra["LD_PRELOAD"] = f"{LIBRARY}:{copy}"
    with Puppet(python, ring_dir, program=program, extra=extra) as puppet:
        assert puppet.do("6 * 7") == 42
        assert puppet.end() == 0
