"""What the library leaves in the interpreter: no pending calls, no strings, no exceptions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.paths import APPS, DEADLINE
from lib.puppet import Puppet
from lib.run import environment, memory_dir
from venvs import Interpreter


def at_once(command: Sequence[str | Path]) -> list[tuple[int, ...]]:
    """The numbers that a program says: of a plain Python, in mode freeze and in mode idle. The
    first of them is whether it was tuned."""
    with ExitStack() as stack:
        kinds = [environment()]
        for mode in ("freeze", "idle"):
            ring_dir = stack.enter_context(memory_dir())
            kinds.append(environment(ring_dir, GCPRELOAD_MODE=mode))
        programs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for env in kinds]
        said = [program.communicate(timeout=DEADLINE)[0] for program in programs]
    numbers = [tuple(map(int, words.split())) for words in said]
    assert [tuned for tuned, *_ in numbers] == [0, 1, 1]
    return numbers


# ---- pending calls ----

# The interpreter's main thread makes them, and blocks in C. What the library asks for, about once
# a second, must not take one place after the other.
BLOCKED = """
import ctypes, sys, threading, time
sys.path.insert(0, sys.argv[1])
from puppet import *
one = listen()
for _ in range(20):
    select.select([one], [], [], 0.01)
tuned = gc.get_threshold()[0] >= 10000
nothing = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)

def work():
    for _ in range(45):
        garbage(20000)
        gc.collect(0)
        time.sleep(0.1)
    places = 0
    while places < 1000 and ctypes.pythonapi.Py_AddPendingCall(nothing, None) == 0:
        places += 1
    print(int(tuned), places, flush=True)
    os._exit(0)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_one_pending_call(one_of_two_pythons: Interpreter) -> None:
    said = at_once([one_of_two_pythons.path, "-c", BLOCKED, APPS])
    places = [number for _, number in said]
    assert 30 <= places[0] < 1000
    assert min(places) >= places[0] - 2


# ---- the method cache ----

# A string of ours in it stays until another takes its place: one small object in each of the
# pages that a job filled, which then go back to nobody.
JOBS = """
import sys
sys.path.insert(0, sys.argv[1])
from puppet import *
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024
one = listen()
for _ in range(20):
    select.select([one], [], [], 0.01)
tuned = gc.get_threshold()[0] >= 10000
seen = []
for _ in range(6):
    job = None
    job = heap(300000)
    gc.collect()
    select.select([one], [], [], 0.01)
    job = None
    gc.collect()
    seen.append(resident())
print(int(tuned), seen[-1] - seen[0], max(seen))
"""


def test_memory_goes_back(server_python: Interpreter) -> None:
    if server_python.minor < (3, 10):
        pytest.skip("its method cache keeps no strings of others")
    command = [server_python.path, "-c", JOBS, APPS]
    (_, stock, _), *ours = at_once(command)
    for _, grown, _ in ours:
        assert grown <= stock + 4


# ---- exceptions ----

OTHERS = """
import warnings
warnings.simplefilter("always")
CALLED = []
class Index:
    def __index__(self):
        CALLED.append(self)
        return 5
    __int__ = __index__
def other(phase, info):
    for name in "collected", "uncollectable", "generation":
        info[name] = VALUE
gc.callbacks.insert(0, other)
"""


@pytest.mark.parametrize("value", ['"many"', "None", "1.5", "-1", "1 << 100", "Index()"])
def test_a_callback_that_changes_info(python: Interpreter, value: str, ring_dir: Path) -> None:
    """Others see what it put there, and nobody an exception that we left."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do("one = listen()", OTHERS.replace("VALUE", value))
        puppet.wait_for("ready", "arm(one)")
        for collects in ("gc.collect()", "gc.collect(0)", "garbage(60000)"):
            puppet.do(collects)
        assert puppet.do("Node() and None", "gc.collect()") > 0
        assert puppet.shown().state == "ready"
        assert puppet.do("CALLED") == []
        assert puppet.errors() == ""
        assert puppet.end() == 0
