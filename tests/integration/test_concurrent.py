"""GCPRELOAD_MODE=concurrent: a copy of the process finds old garbage, slices free it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS, DEADLINE
from lib.puppet import Puppet, collections_of
from lib.rings import Process, by_pid, command, ps, wait_for_state
from lib.run import environment, wait_for
from lib.server import gunicorn
from lib.servers import KINDS, Kind, own_thresholds
from venvs import Interpreter

MODE = {"GCPRELOAD_MODE": "concurrent"}
ALWAYS = {**MODE, "GCPRELOAD_GROWTH": "0"}  # a mark follows the other
ARMED = ("one = listen()", "arm(one)")


def marks_here(python: Interpreter) -> bool:
    """Whether this interpreter has lists of objects that a mark can read."""
    return python.version >= (3, 8) and python.with_gil


def run_sessions(
    python: Interpreter, ring_dir: Path, *words: int, extra: dict[str, str] | None = None
) -> tuple[dict[str, Any], Process]:
    """What the program says, and what ps says then."""
    program = [str(python.path), str(APPS / "sessions.py"), *map(str, words)]
    env = {**environment(ring_dir, **MODE), "LISTEN": "1", **(extra or {})}
    with subprocess.Popen(
        program, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        shown = by_pid(ring_dir, "--all").get(process.pid)
        process.stdin.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 0
    assert shown
    return json.loads(line), shown


def test_old_garbage_is_freed(python: Interpreter, ring_dir: Path) -> None:
    """Without a full collection by anybody; what lives stays as it is."""
    if not marks_here(python):
        pytest.skip("no lists of objects that a mark can read")
    extra = {"GCPRELOAD_GROWTH": "0", "GONE": "200"}
    told, shown = run_sessions(python, ring_dir, 300, extra=extra)
    assert (shown.mode, shown.state) == ("concurrent", "ready")
    assert told["kept"]
    assert told["gone"] >= 200
    assert told["full"] == collections_of(shown, "guard") == 0
    marks = shown.marks
    assert marks["finished"] >= 2
    assert marks["swept"] > 50000
    assert marks["garbage"] >= marks["swept"] + marks["skipped"]
    assert marks["slices"] > 10
    assert marks["failed"] == 0
    # An automatic collection looks at what is new, and at little of that.
    assert told["thresholds"][0] <= 20000


def test_memory_is_bounded(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """Made as fast as can be, of which stock would keep a tenth."""
    if not marks_here(one_of_two_pythons):
        pytest.skip("no lists of objects that a mark can read")
    told, shown = run_sessions(one_of_two_pythons, ring_dir, 6000)
    made = 6000 * 2000 * 150  # bytes, at the least
    assert told["highest"] < made / 4
    assert shown.marks["begun"] >= 2
    assert told["gone"] > 4000


def test_without_a_listener(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """Workers on queues, batch jobs: gc.callbacks are all that is needed."""
    if not marks_here(one_of_two_pythons):
        pytest.skip("no lists of objects that a mark can read")
    extra = {"LISTEN": "", "GCPRELOAD_TRIGGER": "import:json", "GCPRELOAD_GROWTH": "0"}
    extra["GONE"] = "200"
    told, shown = run_sessions(one_of_two_pythons, ring_dir, 300, extra=extra)
    assert (shown.mode, shown.state) == ("concurrent", "ready")
    assert told["gone"] > 0
    assert shown.marks["swept"] > 0


def test_at_waits(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """What a request leaves behind is looked at while the server waits."""
    if not marks_here(one_of_two_pythons):
        pytest.skip("no lists of objects that a mark can read")
    extra = {"SESSIONS_PAUSE": "0.01"}
    told, shown = run_sessions(one_of_two_pythons, ring_dir, 200, 5, 4000, extra=extra)
    assert told["kept"]
    assert collections_of(shown, "idle") + collections_of(shown, "idle_busy") >= 10


def test_no_class_of_ours(python: Interpreter, ring_dir: Path) -> None:
    """A program that walks all classes, as plug-in systems do, finds its own."""
    with Puppet(python, ring_dir, **MODE) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        assert (
            puppet.do("[one for one in map(str, object.__subclasses__()) if 'gcp' in one]") == []
        )


def test_what_cannot_mark_is_idle(python: Interpreter, ring_dir: Path) -> None:
    if marks_here(python):
        pytest.skip("it can")
    with Puppet(python, ring_dir, **MODE) as puppet:
        puppet.do(*ARMED)
        shown = puppet.wait_for("ready")
        assert shown.mode == "idle"
        assert "not concurrent: " in shown.reason


@pytest.mark.parametrize("why", ["PYTHON_PYMALLOC_HUGEPAGES", "sub-interpreters"])
def test_refused_with_a_reason(why: str, system_python: Interpreter, ring_dir: Path) -> None:
    extra = {"PYTHON_PYMALLOC_HUGEPAGES": "1"} if why.isupper() else {}
    with Puppet(system_python, ring_dir, extra=extra, **MODE) as puppet:
        if not extra:
            puppet.do("import _xxsubinterpreters as subs", "sub = subs.create()")
        puppet.do(*ARMED)
        shown = puppet.wait_for("ready")
        assert (shown.mode, why in shown.reason) == ("idle", True)


def test_on_and_off(server_python: Interpreter, ring_dir: Path) -> None:
    own = own_thresholds(server_python)
    with gunicorn(server_python, ring_dir, workers=1, **ALWAYS) as server:
        (process,) = wait_for_state(ring_dir, "ready")
        pid = str(process.pid)

        def marks(least: int) -> int | None:
            server.get("/cycles?n=55000")
            begun = by_pid(ring_dir)[process.pid].marks["begun"]
            return begun if begun > least else None

        begun = wait_for("a mark", lambda: marks(0))
        for mode in ("freeze", "idle", "observe"):
            assert command("set", "--dir", ring_dir, pid, f"mode={mode}").returncode == 0
            server.get("/cycles?n=55000")
            begun = by_pid(ring_dir)[process.pid].marks["begun"]
            server.get("/cycles?n=55000")
            assert by_pid(ring_dir)[process.pid].marks["begun"] == begun
        assert server.ask(process.pid, "/state")["thresholds"] == own
        assert command("set", "--dir", ring_dir, pid, "mode=concurrent").returncode == 0
        wait_for("a mark", lambda: marks(begun))
        assert "hello" in server.get("/")


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "http.server"], ids=str)
def test_each_server(kind: Kind, system_python: Interpreter, ring_dir: Path) -> None:
    why_not = kind.possible(system_python)
    if why_not:
        pytest.skip(why_not)
    server = kind.start(system_python, ring_dir)
    server.env.update(ALWAYS)
    with server:

        def look() -> Process | None:
            server.get("/cycles?n=25000")
            found = [p for p in ps(ring_dir) if p.state == "ready" and p.marks["finished"] > 1]
            return found[0] if found else None

        process = wait_for("two marks", look)
        assert process.mode == "concurrent"
        assert process.marks["failed"] == 0
        assert "hello" in server.get("/")


def test_workers_of_a_frozen_parent(server_python: Interpreter, ring_dir: Path) -> None:
    """They leave what they share alone: a mark looks at their own objects."""
    server = gunicorn(server_python, ring_dir, workers=2, **ALWAYS)
    server.command.insert(-1, "--preload")
    server.env["APP_HEAP"] = "150000"
    with server:
        workers = {p.pid for p in wait_for_state(ring_dir, "ready", 2)}

        def look() -> list[Process] | None:
            server.get("/cycles?n=25000")
            found = [p for p in ps(ring_dir) if p.pid in workers and p.marks["finished"]]
            return found if len(found) == 2 else None

        for process in wait_for("marks in both", look):
            assert process.frozen_objects > 150000
            assert process.live_objects < 100000


def test_large_memory_of_few_objects_is_not_copied(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    """To copy it would stop the process for longer than a full collection does."""
    if not marks_here(one_of_two_pythons):
        pytest.skip("no lists of objects that a mark can read")
    with Puppet(one_of_two_pythons, ring_dir, **MODE) as puppet:
        puppet.do(*ARMED, "import weakref", "gone = weakref.ref(HEAP[7])", "HEAP[7] = None")
        puppet.do("keep(5000)", "garbage(3000)", "buffer = b'x' * (1 << 30)")
        more = ("keep(1000)", "garbage(3000)")
        wait_for("a full collection", lambda: puppet.do(*more, "gone() is None"))
        shown = puppet.shown()
        assert collections_of(shown, "guard") >= 1
        assert shown.marks["begun"] == 0
