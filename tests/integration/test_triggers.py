"""When an application counts as ready: every trigger, lists of them, and what does not count."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid, ring_files, wait_for_state
from lib.run import wait_for
from lib.server import gunicorn
from venvs import Interpreter

TUNED = 50000
ARMED = ("one = listen()", "arm(one)")


def assert_not_ready(puppet: Puppet) -> None:
    """Also not after some automatic collections and a wait."""
    puppet.do("garbage(5000)", "garbage(5000)")
    state = puppet.collector()
    assert not state["frozen"]
    assert state["thresholds"][0] != TUNED
    assert puppet.shown() is None


def assert_ready(puppet: Puppet, fired: str) -> None:
    shown = puppet.wait_for("ready", "garbage()")
    assert shown.fired == fired
    assert shown.trigger == puppet.env.get("GCPRELOAD_TRIGGER", "auto")
    assert shown.thresholds[0] == TUNED
    assert collections_of(shown, "ready") == 1
    state = puppet.collector()
    assert state["frozen"]
    assert state["thresholds"][0] == TUNED


# ---- import:MODULE ----

SLOW = """
import gc, time
end = time.monotonic() + 0.5
while time.monotonic() < end:
    for _ in range(2000):
        x = []; x.append(x)
DURING = gc.get_freeze_count()
"""
BY = {
    "statement": "import slow.inner",
    "from": "from slow import inner",
    "importlib": "import importlib; importlib.import_module('slow.inner')",
    "dunder": "__import__('slow.inner')",
}


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, str]:
    """A package whose module takes its time, and collects meanwhile; how to find it."""
    package = tmp_path / "slow"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(SLOW)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("how", BY)
def test_import(
    server_python: Interpreter, how: str, slow: dict[str, str], ring_dir: Path
) -> None:
    settings = {"GCPRELOAD_TRIGGER": "import:slow.inner"}
    with Puppet(server_python, ring_dir, extra=slow, **settings) as puppet:
        puppet.do("import slow", *ARMED)
        assert_not_ready(puppet)
        puppet.do(BY[how])
        assert puppet.do("sys.modules['slow.inner'].DURING") < 20000, "it was still importing"
        assert_ready(puppet, "import")


def test_import_of_every_version(
    python: Interpreter, slow: dict[str, str], ring_dir: Path
) -> None:
    settings = {"GCPRELOAD_TRIGGER": "import:slow.inner"}
    with Puppet(python, ring_dir, extra=slow, **settings) as puppet:
        puppet.do("import slow.inner")
        assert puppet.do("sys.modules['slow.inner'].DURING") < 20000
        assert_ready(puppet, "import")


def test_import_that_fails(system_python: Interpreter, tmp_path: Path, ring_dir: Path) -> None:
    (tmp_path / "broken.py").write_text(SLOW + "raise ValueError\n")
    settings = {"GCPRELOAD_TRIGGER": "import:broken", "PYTHONPATH": str(tmp_path)}
    with Puppet(system_python, ring_dir, **settings) as puppet:
        puppet.do("try:\n    import broken\nexcept ValueError:\n    pass")
        assert_not_ready(puppet)


def test_import_in_a_server(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_TRIGGER": "import:xml.dom.minidom"}
    with gunicorn(system_python, ring_dir, workers=1, **settings) as server:
        for _ in range(3):
            assert server.json("/state")["thresholds"][0] != TUNED
        server.get("/import")
        (process,) = wait_for_state(ring_dir, "ready")
        assert process.fired == "import"


# ---- signal ----


@pytest.mark.parametrize(
    ("setting", "number"),
    [
        ("signal", signal.SIGURG),
        ("signal:USR1", signal.SIGUSR1),
        ("signal:SIGUSR2", signal.SIGUSR2),
    ],
)
def test_signal(
    server_python: Interpreter, setting: str, number: signal.Signals, ring_dir: Path
) -> None:
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do(*ARMED)
        assert_not_ready(puppet)
        os.kill(puppet.pid, number)
        assert_ready(puppet, "signal")
        puppet.do("keep()")
        os.kill(puppet.pid, number)
        wait_for("the second time", lambda: puppet.do("garbage(60000)", "KEPT and "
                 "gc.get_freeze_count() >= 2 * HEAP_SIZE"))  # fmt: skip
        assert puppet.end() == 0


def test_a_signal_that_has_a_meaning_keeps_it(server_python: Interpreter, ring_dir: Path) -> None:
    """One that the program's parent ignores (nohup does so) stays ignored."""
    program = [
        *("/bin/sh", "-c", 'trap "" USR1; exec "$@"', "sh"),
        *(server_python.path, APPS / "puppet.py"),
    ]
    settings = {"GCPRELOAD_TRIGGER": "signal:USR1"}
    with Puppet(server_python, ring_dir, program=program, **settings) as puppet:
        puppet.do("import signal", *ARMED)
        assert puppet.do("signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN") is True
        os.kill(puppet.pid, signal.SIGUSR1)
        puppet.do("garbage(60000)", "arm(one)")
        assert_not_ready(puppet)
        assert puppet.end() == 0


def test_signal_wakes_a_waiting_server(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_TRIGGER": "signal"}
    with gunicorn(system_python, ring_dir, kind="gthread", workers=1, **settings) as server:
        assert server.json("/state")["thresholds"][0] != TUNED
        (worker,) = server.workers()
        os.kill(worker, signal.SIGURG)
        (process,) = wait_for_state(ring_dir, "ready")
        assert (process.pid, process.fired) == (worker, "signal")


def test_no_signal_is_taken_from_a_server(system_python: Interpreter, ring_dir: Path) -> None:
    """Without a trigger "signal" every signal is as the interpreter leaves it."""
    # Not SigQ: that is what is queued for all processes of the user.
    masks = ("SigPnd", "SigBlk", "SigIgn", "SigCgt")
    handled = f"[line for line in open('/proc/self/status') if line.startswith({masks})]"
    with Puppet(system_python, ring_dir) as ours, Puppet(system_python, None) as stock:
        assert ours.do(handled) == stock.do(handled)
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER="signal") as ours:
        assert ours.do(handled) != stock_of(system_python, handled)


def stock_of(python: Interpreter, source: str) -> object:
    with Puppet(python, None) as puppet:
        return puppet.do(source)


# ---- delay ----


def test_delay(server_python: Interpreter, ring_dir: Path) -> None:
    began = time.monotonic()
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER="delay:1.5") as puppet:
        puppet.do(*ARMED)
        assert_ready(puppet, "delay")
        assert time.monotonic() - began >= 1.5


def test_delay_of_nothing(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER="delay:0,auto") as puppet:
        assert puppet.wait_for("ready", "garbage()").fired == "delay"


def test_delay_is_seen_by_a_server_that_waits(system_python: Interpreter, ring_dir: Path) -> None:
    with gunicorn(system_python, ring_dir, workers=1, GCPRELOAD_TRIGGER="delay:0.5") as server:
        # Where it takes longer than that to start, the parent has become ready, too.
        (process,) = server.workers_in_state("ready", ring_dir, 1)
        assert process.fired == "delay"


def test_delay_not_yet(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER="delay:1000") as puppet:
        puppet.do(*ARMED)
        assert_not_ready(puppet)


# ---- accepts ----


def test_accepts(server_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER="accepts:3") as puppet:
        puppet.do(*ARMED)
        puppet.do("accept(one)", "accept(one)", "arm(one)")
        assert_not_ready(puppet)
        puppet.do("accept(one)", "time = __import__('time'); time.sleep(0.01)", "arm(one)")
        assert_ready(puppet, "accepts")


def test_accepts_after_auto(server_python: Interpreter, ring_dir: Path) -> None:
    """What a lazy application loads with its first requests is frozen, too; once."""
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER="auto,accepts:3") as puppet:
        puppet.do(*ARMED)
        first = puppet.wait_for("ready")
        assert first.fired == "auto: select"
        puppet.do("keep()", "accept(one)", "accept(one)", "arm(one)")
        assert collections_of(puppet.shown(), "ready") == 1
        puppet.do("accept(one)", "arm(one)")
        again = puppet.shown()
        assert again.fired == "accepts"
        assert collections_of(again, "ready") == 2
        assert again.frozen_objects >= first.frozen_objects + 20000
        puppet.do("keep()", *["accept(one)"] * 4, "arm(one)")
        assert collections_of(puppet.shown(), "ready") == 2


def test_accepts_in_a_server(system_python: Interpreter, ring_dir: Path) -> None:
    settings = {"GCPRELOAD_TRIGGER": "accepts:10"}
    with gunicorn(system_python, ring_dir, workers=1, **settings) as server:
        for _ in range(8):
            assert server.json("/state")["thresholds"][0] != TUNED
        for _ in range(2):
            server.get("/")
        (process,) = wait_for_state(ring_dir, "ready")
        assert process.fired == "accepts"


# ---- fork ----

WORKER = """
def worker():
    mine, its = socket.socketpair()
    pid = os.fork()
    if pid:
        its.close()
        return pid, mine
    mine.close()
    while its.recv(1) == b"t":
        garbage(2000)
        its.sendall(b"x")
    os._exit(0)

def task(child):
    child[1].sendall(b"t")
    return len(child[1].recv(1))

def end(child):
    child[1].sendall(b"e")
    os.waitpid(child[0], 0)
"""
END = "for child in children: end(child)"


def test_fork(server_python: Interpreter, ring_dir: Path) -> None:
    """A pool of workers without a listening socket, as Celery has it."""
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER="fork") as puppet:
        puppet.do(WORKER)
        assert_not_ready(puppet)
        puppet.do("children = [worker(), worker()]")
        pids = puppet.do("[child[0] for child in children]")
        parent = puppet.shown()
        assert (parent.state, parent.fired) == ("parent", "fork")
        assert collections_of(parent, "prefork") == 1
        assert parent.thresholds[0] != TUNED
        assert set(by_pid(ring_dir)) == {puppet.pid}, "a child has done nothing yet"

        def both_ready() -> bool:
            assert puppet.do("[task(child) for child in children]") == [1, 1]
            shown = by_pid(ring_dir)
            return all(pid in shown and shown[pid].state == "ready" for pid in pids)

        wait_for("both children to be ready", both_ready)
        for pid in pids:
            child = by_pid(ring_dir)[pid]
            assert child.fired == "fork, in the child"
            assert child.ppid == puppet.pid
            assert child.thresholds[0] == TUNED
            assert child.frozen_objects >= 20000
        assert puppet.shown().state == "parent"
        puppet.do(END)


def test_no_fork_trigger_no_action(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(WORKER, "children = [worker()]", "task(children[0])", "task(children[0])")
        assert ring_files(ring_dir) == []
        puppet.do(END)


# ---- none, lists, +SECONDS ----


def test_none(server_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(server_python, ring_dir, GCPRELOAD_TRIGGER="none") as puppet:
        puppet.do(*ARMED, "accept(one)")
        assert_not_ready(puppet)


@pytest.mark.parametrize(
    ("setting", "first", "fired"),
    [
        ("import:xml.dom,signal,delay:1000", "os.kill(os.getpid(), 23)", "signal"),
        ("signal,import:xml.dom,delay:1000", "import xml.dom", "import"),
        ("auto+1000,signal", "os.kill(os.getpid(), 23)", "signal"),
        ("delay:1000,fork,auto", "arm(one)", "auto: select"),
    ],
)
def test_the_first_of_a_list_counts(
    system_python: Interpreter, setting: str, first: str, fired: str, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do("one = listen()", first)
        assert_ready(puppet, fired)
        puppet.do("import xml.dom", "arm(one)", "garbage(60000)")
        shown = puppet.shown()
        assert (shown.fired, collections_of(shown, "ready")) == (fired, 1)


@pytest.mark.parametrize("setting", ["auto+1", "auto+1.0", "import:xml.dom+1", "signal+1"])
def test_seconds_after(system_python: Interpreter, setting: str, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do("one = listen()")
        began = time.monotonic()
        puppet.do("import xml.dom", "os.kill(os.getpid(), 23)" if "signal" in setting else "None")
        puppet.do("arm(one)")
        puppet.wait_for("ready", "garbage()", "arm(one)")
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("setting", ["auto+1000", "import:xml.dom+1000", "delay:0+1000"])
def test_seconds_after_not_yet(system_python: Interpreter, setting: str, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do("import xml.dom", *ARMED)
        assert_not_ready(puppet)
        puppet.do("arm(one)")
        assert_not_ready(puppet)


@pytest.mark.parametrize(
    "setting",
    [
        *("signal:KILL", "signal:", "fork:1", "auto:1", "none,auto", "auto,none", "delay:1000001"),
        *("import:" + "m" * 1000, ",".join(["auto"] * 50), "auto++1", "auto+", "accepts:1.5"),
        *("autp", "auto fork", "import"),
    ],
)
def test_bad_trigger(system_python: Interpreter, setting: str, ring_dir: Path) -> None:
    """One line; nothing is tuned, since nobody knows when it should be."""
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do(*ARMED)
        shown = puppet.wait_for("observing")
        assert shown.fired == "auto: select"
        assert shown.reason.startswith("unusable setting: GCPRELOAD_TRIGGER=")
        (line,) = puppet.errors().splitlines()
        assert re.match(r"gcpreload\[\d+\]: GCPRELOAD_TRIGGER=", line)


@pytest.mark.parametrize("setting", ["AUTO", "Auto+0s", "Import:no_such,auto"])
def test_any_case(system_python: Interpreter, setting: str, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER=setting) as puppet:
        puppet.do(*ARMED)
        assert puppet.wait_for("ready").trigger == setting
        assert puppet.errors() == ""


# ---- what counts for auto, and what does not ----

ARMINGS = {
    "select": "arm(one)",
    "poll": "p = select.poll(); p.register(one, select.POLLIN); p.poll(0)",
    "epoll": "e = select.epoll(); e.register(one, select.EPOLLIN); e.poll(0)",
    "accept": "one.setblocking(True); client = socket.create_connection(one.getsockname()); "
    "one.accept()[0].close()",
}


@pytest.mark.parametrize("how", ARMINGS)
def test_auto(server_python: Interpreter, how: str, ring_dir: Path) -> None:
    with Puppet(server_python, ring_dir) as puppet:
        puppet.do("one = listen()")
        assert_not_ready(puppet)
        puppet.do(*ARMINGS[how].split("; "))
        assert_ready(puppet, f"auto: {how}")


def test_readiness_is_repeatable(server_python: Interpreter, ring_dir: Path) -> None:
    """Another listening socket: what came since is frozen. A wait on the first is nothing new."""
    with Puppet(server_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        first = puppet.wait_for("ready")
        puppet.do("keep()", "arm(one)", "accept(one)", "arm(one)")
        assert collections_of(puppet.shown(), "ready") == 1
        puppet.do("two = listen()", "arm(two)")
        again = puppet.shown()
        assert collections_of(again, "ready") == 2
        assert again.frozen_objects >= first.frozen_objects + 20000


NOT_A_SERVER = {
    "a pipe": "r, w = os.pipe(); select.select([r], [], [], 0)",
    "epoll without it": "r, w = os.pipe(); e = select.epoll(); e.register(r, 1); e.poll(0)",
    "a closed listener": "one.close(); two = socket.socket(); select.select([two], [], [], 0)",
    "a connection": "a, b = socket.socketpair(); select.select([a], [], [], 0)",
    "nothing": "select.select([], [], [], 0)",
}


@pytest.mark.parametrize("what", NOT_A_SERVER)
def test_auto_needs_a_wait_for_it(system_python: Interpreter, what: str, ring_dir: Path) -> None:
    """As gunicorn's master does: it listens, and waits for something else."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", *NOT_A_SERVER[what].split("; "))
        assert_not_ready(puppet)


THREAD = """
import threading
def serve(listener):
    while True:
        select.select([listener], [], [], 0.05)
def start(listener):
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
"""
IMPORT_ALL = """
import importlib, time
def import_all():
    for number in range(2000):
        importlib.import_module('late%d' % number)
        time.sleep(0.05)
threading.Thread(target=import_all, daemon=True).start()
"""
FIRST = """
one_wait = threading.Thread(target=select.select, args=([first], [], [], 0.05))
one_wait.start()
one_wait.join()
"""
OWN = "from multiprocessing.connection import Listener; own = Listener(family='AF_UNIX')"


def test_a_listener_in_a_thread(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """It counts when it has waited for ten seconds while nothing was imported; one of
    multiprocessing never does, nor does any in a parent that listened and forked. Another takes
    the place of one that is closed."""
    for number in range(2000):
        (tmp_path / f"late{number}.py").write_text("")
    path = {"PYTHONPATH": str(tmp_path)}
    with (
        Puppet(system_python, ring_dir, extra=path) as importing,
        Puppet(system_python, ring_dir) as multiprocessings,
        Puppet(system_python, ring_dir) as master,
        Puppet(system_python, ring_dir) as reopened,
        Puppet(system_python, ring_dir) as serving,
    ):
        master.do(
            THREAD, "start(listen())", "workers = listen()", "pid = os.fork() or os._exit(0)"
        )
        multiprocessings.do(THREAD, *OWN.split("; "), "start(own._listener._socket)")
        importing.do(THREAD, "start(listen())", IMPORT_ALL)
        reopened.do(THREAD, "first = listen()", "other = listen()", FIRST, "first.close()")
        reopened.do("start(other)")
        began = time.monotonic()
        serving.do(THREAD, "start(listen())")
        shown = serving.wait_for("ready")
        assert time.monotonic() - began >= 9.9
        assert shown.fired == "auto: in a thread"
        assert reopened.wait_for("ready").fired == "auto: in a thread"
        assert importing.shown() is None
        assert multiprocessings.shown() is None
        assert master.shown().state == "parent"
        assert not importing.frozen()
        assert not multiprocessings.frozen()
