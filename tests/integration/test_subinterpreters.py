"""Sub-interpreters: what is counted equals what the interpreters themselves count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lib.hosts import Hosts
from lib.paths import APPS
from lib.puppet import Puppet
from lib.rings import counted
from lib.run import environment, run
from lib.waiting import connect, waiting
from venvs import Interpreter

MODULE = """
try:
    import _interpreters as sub
except ImportError:
    import _xxsubinterpreters as sub
"""
WORK = "import gc\\nfor i in range(3000): x = []; x.append(x)\\ngc.collect(); gc.collect(1)"
TELL = """
def tell(one):
    reading, writing = os.pipe()
    text = "import gc, json, os; gc.disable(); os.write(%d, json.dumps(gc.get_stats()).encode())"
    sub.run_string(one, text % writing)
    stats = json.loads(os.read(reading, 4096).decode())
    os.close(reading), os.close(writing)
    return stats
"""
ARMED = ("one = listen()", "arm(one)")


def total(parts: list[list[dict[str, int]]]) -> list[dict[str, int]]:
    return [{name: sum(part[g][name] for part in parts) for name in parts[0][g]} for g in range(3)]


def assert_counts(puppet: Puppet, python: Interpreter, subs: Any) -> None:  # noqa: ANN401
    puppet.do("gc.disable()")
    main = counted(puppet.do("gc.get_stats()"))
    shown = puppet.shown()
    observed = (3, 10) <= python.minor <= (3, 12)  # each its own, and each is seen
    assert shown.counts() == (total([main, *subs]) if observed else main)
    assert ("subinterpreters" in shown.flags) == (python.minor >= (3, 13))


def need_the_module(python: Interpreter) -> None:
    if python.minor < (3, 8):
        pytest.skip("3.7 has no module for them")


def test_three(python: Interpreter, ring_dir: Path) -> None:
    """Made before readiness, used after it."""
    need_the_module(python)
    with Puppet(python, ring_dir) as puppet:
        puppet.do(MODULE, TELL, "subs = [sub.create() for _ in range(3)]")
        puppet.do(f"for one in subs: sub.run_string(one, '{WORK}')")
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        puppet.do(f"for one in subs: sub.run_string(one, '{WORK}')")
        subs = puppet.do("[tell(one) for one in subs]")
        assert_counts(puppet, python, subs)
        assert puppet.end() == 0


def test_three_made_after_readiness(python: Interpreter, ring_dir: Path) -> None:
    need_the_module(python)
    with Puppet(python, ring_dir) as puppet:
        puppet.do(MODULE, TELL, *ARMED)
        puppet.wait_for("ready")
        puppet.do("subs = [sub.create() for _ in range(3)]")
        puppet.do(f"for one in subs: sub.run_string(one, '{WORK}')")
        subs = puppet.do("[tell(one) for one in subs]")
        assert_counts(puppet, python, subs)
        puppet.do("for one in subs: sub.destroy(one)")
        assert puppet.do("garbage(60000) or gc.collect()") is not None
        assert puppet.end() == 0


def test_at_the_same_time(python: Interpreter, ring_dir: Path) -> None:
    """From 3.12 on each may have a GIL of its own: no event is lost."""
    if python.minor < (3, 12):
        pytest.skip("one GIL for all")
    threads = (
        "import threading\n"
        f"run = lambda one: [sub.run_string(one, '{WORK}') for _ in range(20)]\n"
        "threads = [threading.Thread(target=run, args=(one,)) for one in subs]\n"
        "[t.start() for t in threads]; garbage(50000); [t.join() for t in threads]\n"
    )
    with Puppet(python, ring_dir) as puppet:
        puppet.do(MODULE, TELL, "subs = [sub.create() for _ in range(3)]", *ARMED)
        puppet.wait_for("ready")
        puppet.do(threads)
        subs = puppet.do("[tell(one) for one in subs]")
        assert_counts(puppet, python, subs)
        assert puppet.end() == 0


def test_those_of_3_7(python: Interpreter, ring_dir: Path) -> None:
    if python.minor != (3, 7):
        pytest.skip("newer ones have a module for them")
    with Puppet(python, ring_dir) as puppet:
        if puppet.do("__import__('importlib.util').util.find_spec('_testcapi') is None"):
            pytest.skip("built without _testcapi")
        puppet.do("import _testcapi", *ARMED)
        puppet.wait_for("ready")
        # They stay while it is compared: the collections that end one tell no callback.
        puppet.do("import threading", "told, tell = os.pipe()", "wait, go = os.pipe()")
        text = WORK.replace("\\n", "\n") + "\nimport os; os.write(%d, b'x'); os.read(%d, 1)"
        puppet.do(
            f"run = lambda: _testcapi.run_in_subinterp({text!r} % (tell, wait))",
            "threads = [threading.Thread(target=run) for _ in range(3)]",
            "for t in threads: t.start(); os.read(told, 1)",
            "gc.disable()",
        )
        # One list of callbacks and one collector for all.
        assert puppet.shown().counts() == counted(puppet.do("gc.get_stats()"))
        puppet.do("os.write(go, b'xxx')", "for t in threads: t.join()")


def test_more_than_are_kept(python: Interpreter, ring_dir: Path) -> None:
    """What is not seen is said."""
    need_the_module(python)
    if not (3, 10) <= python.minor <= (3, 12):
        pytest.skip("sub-interpreters are not observed one by one")
    with Puppet(python, ring_dir) as puppet:
        puppet.do(MODULE, "subs = [sub.create() for _ in range(70)]", *ARMED)
        assert "subinterpreters" in puppet.wait_for("ready").flags
        puppet.do("for one in subs: sub.destroy(one)")
        assert puppet.end() == 0


# ---- whose thread it is: nobody waits for a GIL that the same thread has ----

MODES = ["freeze", "idle"]
RUNS_PROGRAMS = """
import os, subprocess
assert subprocess.run(["true"]).returncode == 0
try:
    pid = os.fork()
except RuntimeError:  # not in a sub-interpreter, before 3.12
    pid = -1
if not pid:
    os._exit(0)
if pid > 0:
    os.waitpid(pid, 0)
os.write({}, b"done\\n")
"""


@pytest.mark.parametrize("mode", MODES)
def test_programs_are_run_in_one(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """Of a process that listens, and so may be forking workers."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("one = listen()", "told, tell = os.pipe()")
        puppet.do(f"text = {RUNS_PROGRAMS!r}.format(tell)")
        if python.minor < (3, 8):
            if puppet.do("__import__('importlib.util').util.find_spec('_testcapi') is None"):
                pytest.skip("built without _testcapi")
            puppet.do("import _testcapi", "_testcapi.run_in_subinterp(text)")
        else:
            how = {(3, 8): "", (3, 13): "'legacy'"}.get(python.minor, "isolated=False")
            puppet.do(MODULE, f"sub.run_string(sub.create({how}), text)")
        assert puppet.do("os.read(told, 9).decode()") == "done\n"


@pytest.mark.parametrize("mode", MODES)
def test_a_host_runs_programs_in_one(
    python: Interpreter, mode: str, hosts: Hosts, ring_dir: Path
) -> None:
    program, extra = hosts.of(python, "sub_host")
    after = "import gc; print([gc.collect() >= 0 for _ in range(3)], flush=True)"
    env = {**environment(ring_dir, GCPRELOAD_MODE=mode), **extra}
    done = run([program, RUNS_PROGRAMS.format(1), after], env)
    assert done.stdout.decode().splitlines() == ["done", "[True, True, True]"]
    assert done.returncode == 0  # stock's os.fork() prints that its child may not be


def test_requests_in_one(python: Interpreter, ring_dir: Path) -> None:
    """The main thread waits, and collects when the other is done."""
    need_the_module(python)
    command = [python.path, "-W", "ignore", APPS / "sub_server.py"]
    with waiting(ring_dir, command, GCPRELOAD_MODE="idle") as server:
        port = server.port()
        for _ in range(50):
            assert connect(port) == b"x"
            assert server.says(0.1) is None  # a quiet moment
            if server.is_ready() and server.idle_collections() >= 3:
                return
        raise AssertionError("no idle collections")
