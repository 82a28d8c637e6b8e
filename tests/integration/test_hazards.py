"""What goes wrong inside other people's processes, each trap once."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS, DEADLINE, LIBRARY, ROOT
from lib.rings import COUNTS, GENERATIONS, by_pid, counted, ps, ring_files
from lib.run import environment, files_below, run, shared_library, wait_for
from lib.server import gunicorn
from venvs import Interpreter

READY_ONCE = APPS / "ready_once.py"
TUNED = 50000
NOBODY = 65534


def ready_once(
    python: Interpreter, ring_dir: Path, *words: str, options: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Runs the application to its end; what it said."""
    done = run([python.path, *options, READY_ONCE, *words], environment(ring_dir))
    assert (done.returncode, done.stderr) == (0, b"")
    report = json.loads(done.stdout)
    assert report["thresholds"][0] == TUNED
    assert report["frozen"] > 1000
    return report


@contextmanager
def held(
    python: Interpreter, ring_dir: Path, *words: str, **settings: str
) -> Iterator[dict[str, Any]]:
    """The application stays, with gc disabled, until the block ends; what it said."""
    with subprocess.Popen(
        [python.path, READY_ONCE, *words, "hold"],
        env=environment(ring_dir, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"ended with {process.wait(DEADLINE)}"
        yield json.loads(line)
        process.stdin.close()
        assert process.wait(DEADLINE) == 0


def test_the_gil_is_not_mistaken(python: Interpreter, ring_dir: Path) -> None:
    """Once there was a sub-interpreter PyGILState_Check() always says yes; and Python's own
    checks (-X dev) end a process that calls it without the GIL."""
    ready_once(python, ring_dir, "subinterpreter", options=("-X", "dev", "-W", "ignore"))


@pytest.mark.parametrize("how", ["errno_without_gil", "errno_with_gil"])
def test_errno_is_kept(python: Interpreter, how: str, ring_dir: Path) -> None:
    """In a wait on the listener, but by a library: looked at, and no place to act in."""
    said, kept, acted = ready_once(python, ring_dir, how)[how]
    assert (said, kept, acted) == (0, True, False)


def test_select_with_a_small_set(python: Interpreter, ring_dir: Path) -> None:
    assert ready_once(python, ring_dir, "small_select")["small_select"] == [0, 0, False]


def check_children(python: Interpreter, ring_dir: Path, **settings: str) -> None:
    with held(python, ring_dir, "raw_children", **settings) as said:
        assert said["raw_children"] == [0, 0, 0, 0]
        (process,) = ps(ring_dir)
        assert process.counts() == counted(said["hold"])
        assert len(files_below(ring_dir)) == 1


def test_children_that_atfork_does_not_see(python: Interpreter, ring_dir: Path) -> None:
    """Raw clone and _Fork: a collection there must not touch the parent's ring."""
    check_children(python, ring_dir)


@pytest.fixture(scope="session")
def no_wipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_library("no_wipe", tmp_path_factory.mktemp("no_wipe"))


def test_children_where_the_kernel_cannot_wipe(
    python: Interpreter, no_wipe: Path, ring_dir: Path
) -> None:
    """Linux before 4.14, and sandboxes that do not know MADV_WIPEONFORK."""
    check_children(python, ring_dir, LD_PRELOAD=f"{no_wipe}:{LIBRARY}")


def test_children_where_an_emulator_says_that_it_wipes(
    one_of_two_pythons: Interpreter, no_wipe: Path, ring_dir: Path
) -> None:
    """qemu-user takes any advice, and does nothing."""
    settings = {"LD_PRELOAD": f"{no_wipe}:{LIBRARY}", "SAYS_YES": "1"}
    check_children(one_of_two_pythons, ring_dir, **settings)


def test_a_child_does_not_keep_its_parent_alive(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """What tells the living from the dead is not inherited."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [system_python.path, READY_ONCE, "lasting_child", "hold"],
        env=environment(ring_dir, CHILD_WAITS_ON=str(reading)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[reading],
    ) as process:
        assert process.stdout
        child = json.loads(process.stdout.readline())["lasting_child"]
        assert by_pid(ring_dir)[process.pid].alive
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        assert by_pid(ring_dir, "--all")[process.pid].state == "exited"
        os.close(writing)
        os.close(reading)


def test_a_server_may_call_its_socket_listener(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """As multiprocessing calls its own."""
    command = [system_python.path, READY_ONCE, "socket_called_listener"]
    done = run(command, environment(ring_dir, SOCKETS=str(tmp_path)))
    assert json.loads(done.stdout)["socket_called_listener"] is True


def test_counts_with_subinterpreters(python: Interpreter, ring_dir: Path) -> None:
    if python.minor < (3, 8):
        pytest.skip("3.7 cannot keep a sub-interpreter")
    with held(python, ring_dir, "subinterpreters") as said:
        (process,) = ps(ring_dir)
        expected = counted(said["hold"])
        seen = (3, 10) <= python.minor <= (3, 12)  # elsewhere: one for all, or not reached
        for sub in said["subinterpreters"] if seen else []:
            for generation in range(GENERATIONS):
                for name in COUNTS:
                    expected[generation][name] += sub[generation][name]
        assert process.counts() == expected
        assert ("subinterpreters" in process.flags) == (python.minor >= (3, 13))


@pytest.mark.parametrize(
    "what", ["helper_thread", "multiprocessing_listener", "listen_and_wait_elsewhere"]
)
def test_not_every_listener_makes_ready(python: Interpreter, what: str, ring_dir: Path) -> None:
    untouched = ready_once(python, ring_dir, what)[what]
    assert untouched is True


def test_a_finalizer_may_give_the_loop_work(python: Interpreter, ring_dir: Path) -> None:
    """After the collection the wait must return, or nobody ever wakes the loop."""
    program = [python.path, "-W", "ignore", APPS / "finalizer_loop.py", "asyncio", "ready"]
    done = run(program, environment(ring_dir))
    assert (done.stdout, done.stderr, done.returncode) == (b"given back\n", b"", 0)


def test_a_finalizer_may_switch_greenlets(
    server_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Not in gevent's hub: the collection runs in a greenlet of its own."""
    marks = tmp_path / "finalized"
    settings = {"app": "gevent_finalizer:app", "kind": "gevent", "APP_FINALIZED": str(marks)}
    with gunicorn(server_python, ring_dir, **settings, workers=1) as server:
        (process,) = server.workers_in_state("ready", ring_dir, 1)
        assert process.frozen_objects > 0
        wait_for("the finalizer", lambda: marks.exists() and marks.read_text() == "x")
        assert server.get("/")
        assert "BlockingSwitchOutError" not in server.output()
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("reads", [False, True], ids=["full", "closed"])
def test_a_slow_reader_of_stderr_stops_nobody(
    system_python: Interpreter, reads: bool, tmp_path: Path
) -> None:
    """Lines are dropped when the pipe is full, and where nobody reads."""
    reading, writing = os.pipe()
    if reads:
        os.close(reading)
    else:
        os.set_blocking(writing, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writing, bytes(fcntl.fcntl(writing, 1032)))  # F_GETPIPE_SZ
        os.set_blocking(writing, True)
    env = environment(tmp_path / "missing", GCPRELOAD_GROWTH="nonsense", GCPRELOAD_LOG="debug")
    done = subprocess.run(
        [system_python.path, READY_ONCE],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=writing,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["thresholds"][0] == TUNED
    os.close(writing)
    if not reads:
        os.close(reading)


def need_root_and_a_public_checkout() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for path in (ROOT, *ROOT.parents):
        if not path.stat().st_mode & 0o001:
            pytest.skip(f"other users cannot read {path}")


def test_a_truncate_by_mistake_is_refused(system_python: Interpreter, ring_dir: Path) -> None:
    need_root_and_a_public_checkout()
    ring_dir.chmod(0o1777)
    done = subprocess.run(
        [system_python.path, READY_ONCE],
        env=environment(ring_dir),
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    (path,) = ring_files(ring_dir)
    truncate = "import os, sys; os.truncate(sys.argv[1], 0)"
    refused = subprocess.run(
        [system_python.path, "-c", truncate, str(path)],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False,
    )  # fmt: skip
    assert b"PermissionError" in refused.stderr
    assert path.stat().st_size > 0


def test_the_directory_is_that_of_the_user_at_readiness(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """gunicorn gives up root after it forked its workers."""
    need_root_and_a_public_checkout()
    ring_dir.chmod(0o1777)
    user = {"GUNICORN_CMD_ARGS": f"--user {NOBODY} --group {NOBODY}"}
    own = ring_dir / f"gcpreload-{NOBODY}"
    with gunicorn(system_python, ring_dir, **user) as server:
        wait_for("two rings", lambda: len(list(own.glob("[0-9]*"))) == 2)
        files = list(own.glob("[0-9]*"))
        assert {int(path.name.split(".")[0]) for path in files} == set(server.workers())
        assert {path.stat().st_uid for path in files} == {NOBODY}
