"""gc.get_referrers() and gc.get_objects(): what we froze is found, as if nobody had frozen it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import Puppet
from lib.run import wait_for
from test_concurrent import marks_here
from test_oracle import pytest_generate_tests  # noqa: F401 - those that have greenlet
from test_subinterpreters import MODULE, need_the_module
from venvs import Interpreter, venv

ARMED = ("one = listen()", "arm(one)")
IDS = "ids = lambda found: sorted(map(id, found))"
CHAIN = "PAIR = (HEAP[1].payload, HEAP[2].payload)"
EACH = (
    "gc.get_referrers(HEAP[7].payload)",
    "gc.get_referrers(HEAP[1].payload, HEAP[9].payload, HEAP[9].payload)",
    "gc.get_referrers(HEAP)",
    "gc.get_referrers(Node)",
    "gc.get_referrers(PAIR)",
    "gc.get_referrers(*PAIR)",  # a tuple of arguments that is frozen
    "gc.get_referrers()",
    "gc.get_referrers(10**9)",
)
modes = pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])


def need_the_lists(python: Interpreter) -> None:
    if not marks_here(python):
        pytest.skip("no lists of objects that can be read")


def compare(puppet: Puppet, *sources: str) -> None:
    """With what the interpreter itself finds, when nothing is frozen."""
    assert puppet.frozen()
    shown = [puppet.do(f"ids({one})") for one in sources]
    puppet.do("gc.unfreeze()")
    assert [puppet.do(f"ids({one})") for one in sources] == shown


@modes
def test_what_is_frozen_refers(python: Interpreter, mode: str, ring_dir: Path) -> None:
    need_the_lists(python)
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do(IDS, CHAIN, *ARMED)
        puppet.wait_for("ready")
        assert puppet.do("len(gc.get_referrers(HEAP[7].payload))") == 1
        compare(puppet, *EACH)
        assert puppet.end() == 0


@modes
def test_all_objects(python: Interpreter, mode: str, ring_dir: Path) -> None:
    need_the_lists(python)
    mortal = (
        "import sys\n"
        "mortal = lambda *which: {id(o) for o in gc.get_objects(*which) if refs(o) < 1 << 28}\n"
        "refs = sys.getrefcount"
    )
    immortal = "sum(refs(one) >= 1 << 28 for one in gc.get_objects())"
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        hidden = puppet.do(mortal, "gc.collect()", immortal)
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert puppet.do(immortal) == hidden, "3.12 freezes them by itself"
        puppet.do("before = mortal()", "gc.unfreeze()", "after = mortal()")
        # The lists and frames of these lines come and go.
        assert puppet.do("[len(after) > HEAP_SIZE, len(before ^ after) < 200]") == [True, True]


def test_generations(python: Interpreter, ring_dir: Path) -> None:
    """What is frozen is old, and what cannot be asked is refused as ever."""
    need_the_lists(python)
    asked = ["", "None", "generation=None", "-1", "2", "generation=2", "0", "1", "generation=1"]
    wrong = ["3", "-2", "generation=9", "'2'", "2.0", "2, 2", "other=2"]
    see = (
        "def see(ask):\n"
        "    try: return any(one is HEAP[7] for one in ask())\n"
        "    except Exception as error: return repr(error)"
    )
    lines = [f"see(lambda: gc.get_objects({one}))" for one in asked + wrong]
    with Puppet(python, ring_dir) as puppet:
        puppet.do(see, "gc.collect()")
        stock = [puppet.do(line) for line in lines]
        assert stock[: len(asked)] == [True] * 6 + [False] * 3
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert puppet.frozen()
        assert [puppet.do(line) for line in lines] == stock


def test_what_is_frozen_later(python: Interpreter, ring_dir: Path) -> None:
    """By mode concurrent, before each mark and without a look."""
    need_the_lists(python)
    always = {"GCPRELOAD_MODE": "concurrent", "GCPRELOAD_GROWTH": "0"}
    with Puppet(python, ring_dir, **always) as puppet:
        puppet.do(IDS, *ARMED)
        puppet.wait_for("ready")
        before = puppet.do("gc.get_freeze_count()")
        puppet.do("keep()")
        more = "garbage(60000)", "arm(one)", "gc.get_freeze_count()"
        wait_for("more that is frozen", lambda: puppet.do(*more) > before + 20000)
        assert puppet.do("len(gc.get_referrers(KEPT[0][7].payload))") == 1
        assert puppet.do("any(one is KEPT[0][7] for one in gc.get_objects(2))")
        compare(puppet, "gc.get_referrers(KEPT[0][7].payload)", "gc.get_referrers(KEPT[0])")


def test_a_forked_child(python: Interpreter, ring_dir: Path) -> None:
    """What its parent froze for it."""
    need_the_lists(python)
    told = "len(gc.get_referrers(HEAP[7].payload)) + 10 * (gc.get_freeze_count() > 20000)"
    child = f"pid = os.fork()\nif not pid: os._exit({told})"
    with Puppet(python, ring_dir) as puppet:
        puppet.do("listener = listen()", child)
        assert puppet.do("os.waitpid(pid, 0)[1] >> 8") == 11


def test_our_own_count_leaves_it_out(python: Interpreter, ring_dir: Path) -> None:
    """A worker with little of its own freezes nothing, and does not write to what it shares."""
    child = (
        "pid = os.fork()\n"
        "if not pid:\n"
        "    frozen, few = gc.get_freeze_count(), heap(50)\n"
        "    while gc.get_threshold()[0] < 10000: arm(listener)\n"
        "    os._exit(frozen > 20000 and gc.get_freeze_count() <= frozen)"
    )
    with Puppet(python, ring_dir) as puppet:
        puppet.do("listener = listen()", child)
        assert puppet.do("os.waitpid(pid, 0)[1] >> 8") == 1


def test_before_it_is_ready(python: Interpreter, ring_dir: Path) -> None:
    """GCPRELOAD_STARTUP_GC=0 freezes, too."""
    need_the_lists(python)
    with Puppet(python, ring_dir, GCPRELOAD_STARTUP_GC="0") as puppet:
        puppet.do(IDS, CHAIN, "garbage(3000)")
        assert puppet.do("len(gc.get_referrers(HEAP[7].payload))") == 1
        compare(puppet, *EACH)


def test_wrong_arguments(python: Interpreter, ring_dir: Path) -> None:
    what = (
        "def wrong(**named):\n"
        "    try: return gc.get_referrers(**named)\n"
        "    except Exception as error: return repr(error)"
    )
    with Puppet(python, ring_dir) as puppet:
        stock = puppet.do(what, "wrong(one=1)")
        assert "TypeError" in stock
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert puppet.do("wrong(one=1)") == stock


def test_what_the_application_froze_is_hidden(python: Interpreter, ring_dir: Path) -> None:
    """As without us."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert puppet.do("gc.freeze()", "gc.get_referrers(HEAP[7].payload)") == []
        assert puppet.do("len(gc.get_objects())") < 1000


def test_sub_interpreters(python: Interpreter, ring_dir: Path) -> None:
    """One does not see the objects of another: type is shared by all."""
    need_the_module(python)
    need_the_lists(python)
    find = "any(type(one) is type and one.__name__ == 'Node' for one in gc.get_referrers(object))"
    look = f"import gc; kept = [[]]; told = len(gc.get_referrers(kept[0])) + 10 * ({find})"
    look = f"{look} + 100 * (len(gc.get_objects()) >= 40000)"
    tell = f"{look}; import os; os.write(%d, str(told).encode())"
    with Puppet(python, ring_dir) as puppet:
        puppet.do(MODULE, "reading, writing = os.pipe()", *ARMED)
        puppet.wait_for("ready")
        puppet.do("two = sub.create()", f'sub.run_string(two, "{tell}" % writing)')
        assert puppet.do("os.read(reading, 10).decode()") == "1"
        assert puppet.do(find, "len(gc.get_objects()) >= 40000")


@modes
def test_a_greenlet_of_a_thread_that_ended(tested: Interpreter, mode: str, ring_dir: Path) -> None:
    """The thread's main greenlet, which only a frozen object refers to, stays its own."""
    work = (
        "import greenlet, threading, weakref\n"
        "made, go = threading.Event(), threading.Event()\n"
        "def work():\n"
        "    KEPT.append(greenlet.greenlet(int))\n"
        "    made.set(), go.wait()\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start(), made.wait()\n"
        "main = weakref.ref(KEPT[0].parent)"
    )
    gone = "len(os.listdir('/proc/self/task')) == 1"
    cleaned = "greenlet._greenlet.get_pending_cleanup_count() == 0"
    program = [venv("oracle", tested), APPS / "puppet.py"]
    extra = {"PYTHONMALLOC": "debug"}
    with Puppet(tested, ring_dir, program=program, extra=extra, GCPRELOAD_MODE=mode) as puppet:
        puppet.do(work, *ARMED)
        puppet.wait_for("ready")
        assert puppet.frozen()
        puppet.do("go.set(), thread.join()")
        wait_for("the end of its thread", lambda: puppet.do(f"{gone} and {cleaned}"))
        assert puppet.do("main() is not None and main() is KEPT[0].parent")
        assert puppet.do("KEPT.clear()", "main() is None")
        puppet.do("gc.collect()")
        assert puppet.end() == 0
