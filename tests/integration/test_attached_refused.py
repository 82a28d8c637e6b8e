"""Where the library is not attached, with nothing changed; attach and detach at a bad moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lib.attach import LOAD, Late, rings
from lib.paths import LIBRARY
from lib.puppet import Puppet
from lib.rings import counted
from lib.run import wait_for
from venvs import Interpreter

ATTACH = "ours.gcpreload_attach(settings)"
STATE = "[len(gc.callbacks), gc.get_threshold(), gc.get_freeze_count() > 10000]"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"GCPRELOAD_DISABLE": "1"}, "ECANCELED"),
        ({"mode": "off"}, "ECANCELED"),
        ({"GCPRELOAD_EXCEPT": "*puppet*"}, "ECANCELED"),
        ({"GCPRELOAD_SERVICE": "x" * 5000}, "E2BIG"),
        ({"GCPRELOAD_DIR": "/proc"}, "EMEDIUMTYPE"),
        ({"GCPRELOAD_DIR": "/nowhere"}, "ENOENT"),
        ({"GCPRELOAD_DIR\nnonsense": "/dev/shm"}, "EINVAL"),
    ],
)
def test_settings_that_refuse(late: Late, settings: dict[str, str], error: str) -> None:
    before = late.do(STATE)
    assert late.attach(**{"mode": "freeze", **settings}) == error
    assert late.do(STATE) == before
    assert rings(late.ring_dir) == []
    assert late.attach("freeze") == 0
    assert late.shown().state == "ready"
    assert late.detach() == 0
    assert late.do(STATE) == before


def test_what_is_given_beats_the_environment(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    with Late(one_of_two_pythons, ring_dir, extra={"GCPRELOAD_EXCEPT": "*"}) as late:
        assert late.attach() == "ECANCELED"
        assert late.attach(GCPRELOAD_EXCEPT="") == 0


@pytest.mark.parametrize("settings", [{}, {"GCPRELOAD_DISABLE": "1"}, {"GCPRELOAD_MODE": "off"}])
def test_what_was_started_under_the_library(
    python: Interpreter, ring_dir: Path, settings: dict[str, str]
) -> None:
    with Puppet(python, ring_dir, **settings) as puppet:
        puppet.do(LOAD, f"settings = b'GCPRELOAD_MODE=observe\\nGCPRELOAD_DIR={ring_dir}'")
        before = puppet.do(STATE)
        assert puppet.do(ATTACH) == -114  # EALREADY
        assert puppet.do("ours.gcpreload_detach()") == -2  # ENOENT
        assert puppet.do(STATE) == before
        assert rings(ring_dir) == []


def test_another_copy_of_the_library(late: Late, tmp_path: Path) -> None:
    copy = tmp_path / "libgcpreload.so"
    shutil.copy(LIBRARY, copy)
    assert late.attach() == 0
    late.do(f"ours = ctypes.PyDLL({str(copy)!r})")
    assert late.call(f"ours.gcpreload_attach({late.text()!r})") == "EALREADY"
    assert late.do("len(gc.callbacks)") == 1
    assert len(rings(late.ring_dir)) == 1


def test_without_the_gil(late: Late) -> None:
    late.load()
    late.do(f"free = ctypes.CDLL({str(LIBRARY)!r})")
    assert late.call(f"free.gcpreload_attach({late.text()!r})") == "EAGAIN"
    assert late.attach() == 0
    assert late.call("free.gcpreload_detach()") == "EAGAIN"
    assert late.detach() == 0


IN_SUBINTERPRETER = """
import os, sys
if sys.version_info >= (3, 13):
    import _interpreters as subs
    made = subs.create("legacy")
    run = subs.run_string
else:
    import _xxsubinterpreters as subs
    made = subs.create(isolated=False) if sys.version_info >= (3, 9) else subs.create()
    run = subs.run_string
reads, writes = os.pipe()
def inside(source):
    run(made, "import os, ctypes; ours = ctypes.PyDLL(%r); os.write(%d, str(%s).encode())"
        % (path, writes, source))
    return int(os.read(reads, 100))
"""


def test_in_a_subinterpreter(late: Late) -> None:
    if late.do("sys.version_info < (3, 8)"):
        pytest.skip("3.7 has no module for sub-interpreters")
    late.load()
    late.do(f"path = {str(LIBRARY)!r}", IN_SUBINTERPRETER)
    before = late.do(STATE)
    assert late.do(f"inside('ours.gcpreload_attach(%r)' % {late.text()!r})") == -18  # EXDEV
    assert late.do(STATE) == before
    assert late.attach("freeze") == 0
    assert late.shown().reason == "only the main interpreter is tuned, not the sub-interpreters"
    flagged = late.do("sys.version_info >= (3, 10)")
    assert ("subinterpreters" in late.shown().flags) == flagged
    assert late.do("inside('ours.gcpreload_detach()')") == -18
    assert late.detach() == 0
    assert late.do(STATE) == before
    assert late.errors() == ""


def test_where_the_interpreter_ends(late: Late) -> None:
    """Objects of a module die when it is not up any more."""
    late.load()
    late.do(
        "class Last:\n"
        " def __del__(self, attach=ours.gcpreload_attach, write=os.write, text=str,"
        f" settings={late.text()!r}):\n"
        "  write(2, text(attach(settings)).encode())\n",
        "sys.modules['last'] = Last()",
    )
    assert late.end() == 0
    assert late.errors() in ("", "-108")  # ESHUTDOWN, or before that: attached
    assert rings(late.ring_dir) == []


WITHIN = """
import weakref
class Cycle:
    def __del__(self):
        said.append(call())
said = []
def dies(what):
    global call
    call = what
    one = Cycle()
    one.me = one
    del one
    gc.collect()
    return said.pop()
"""


def test_in_the_middle_of_a_collection(late: Late) -> None:
    late.load()
    late.do(WITHIN, "gc.disable()")
    assert late.do(f"dies(lambda: ours.gcpreload_attach({late.text()!r}))") == 0
    assert late.shown().counts() == counted(late.do("gc.get_stats()"))
    late.do("gc.collect()")
    assert late.shown().counts() == counted(late.do("gc.get_stats()"))
    assert late.do("dies(ours.gcpreload_detach)") == 0
    assert late.do("len(gc.callbacks)") == 0
    assert late.attach("freeze", GCPRELOAD_FORCE="1") == 0
    assert late.shown().counts() == counted(late.do("gc.get_stats()"))
    assert late.do("dies(ours.gcpreload_detach)") == 0
    late.do("gc.collect()")
    assert not late.frozen()
    assert late.errors() == ""
    assert late.end() == 0


def test_within_what_the_library_does(late: Late) -> None:
    """A finalizer runs in its collection; who detaches there has to come again."""
    late.load()
    late.do(WITHIN, "gc.disable()", "call = ours.gcpreload_detach")
    late.do("one = Cycle()", "one.me = one", "del one")
    assert late.attach("freeze", GCPRELOAD_FORCE="1") == 0
    assert late.do("said") == [-16]  # EBUSY
    assert late.shown().state == "ready"
    assert late.detach() == 0
    assert not late.frozen()


BUSY = """
import threading
stop = False
def work():
    while not stop:
        garbage(50)
        forked_list = [[] for _ in range(100)]
threads = [threading.Thread(target=work) for _ in range(3)]
for one in threads: one.start()
"""


@pytest.mark.parametrize("mode", ["observe", "freeze", "concurrent"])
def test_again_and_again_under_load(late_of_two: Late, mode: str) -> None:
    late = late_of_two
    own = late.collector()["thresholds"]
    late.load()
    late.do(
        BUSY,
        f"settings = {late.text(mode, GCPRELOAD_GROWTH='0')!r}",
        "def often(n):\n"
        " said = set()\n"
        " for _ in range(n):\n"
        "  said.add(ours.gcpreload_attach(settings))\n"
        "  garbage(3000)\n"
        "  said.add(ours.gcpreload_detach())\n"
        " return sorted(said)\n"
        "def resident():\n"
        " return int(open('/proc/self/statm').read().split()[1]) * 4096\n",
    )
    assert late.do("often(5)") == [0]
    maps, resident = late.mappings().count("\n"), late.do("resident()")
    assert late.do("often(20)") == [0]
    assert late.do("resident()") < resident + (8 << 20)
    assert late.mappings().count("\n") < maps + 40  # arenas of the program's own
    assert late.collector()["thresholds"] == own
    assert not late.frozen()
    assert late.attach() == 0
    late.do("stop = True", "[one.join() for one in threads] and None", "gc.disable()")
    assert late.shown().counts() == counted(late.do("gc.get_stats()"))
    assert late.errors() == ""
    assert late.end() == 0


def test_a_subinterpreter_that_comes_later(late: Late) -> None:
    if late.do("sys.version_info < (3, 10)"):
        pytest.skip("before 3.10 its collections are seen")
    assert late.attach("concurrent") == 0
    assert "subinterpreters" not in late.shown().flags
    late.do(f"path = {str(LIBRARY)!r}", IN_SUBINTERPRETER)
    late.wait_for("ready", "garbage(20000)")
    wait_for("the flag", lambda: late.do("gc.collect()") is not None and flags(late))
    assert late.detach() == 0


def flags(late: Late) -> bool:
    late.do("garbage(5000)")
    return "subinterpreters" in late.shown().flags
