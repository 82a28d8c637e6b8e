"""Which process is the parent of workers, and is frozen before a fork; which one only forks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lib.paths import APPS
from lib.puppet import Puppet, collections_of
from lib.run import environment, run
from venvs import Interpreter

HEAP_SIZE = 20000  # of the puppet
modes = pytest.mark.parametrize("mode", ["freeze", "idle"])

FORK = """
def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)

def process():
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=len, args=("",))
    child.start()
    child.join()
"""


@modes
def test_a_server_that_forks_for_jobs(python: Interpreter, mode: str, ring_dir: Path) -> None:
    """What a job works on is not the server's for ever."""
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("one = listen()", FORK)
        puppet.wait_for("ready", "arm(one)")
        before = puppet.do("gc.get_freeze_count()")
        assert before >= HEAP_SIZE
        for make in ("fork()", "process()", "fork()"):
            puppet.do("job = heap(50000)", make)
            # Python 3.12 freezes some by itself.
            assert abs(puppet.do("gc.get_freeze_count()") - before) < 5000
            puppet.do("job = None", "gc.collect()")
        shown = puppet.shown()
        assert shown.state == "ready"
        assert collections_of(shown, "prefork") == 0


@modes
def test_a_parent_freezes_once(python: Interpreter, mode: str, ring_dir: Path) -> None:
    with Puppet(python, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        puppet.do("one = listen()", FORK, "fork()")
        frozen = puppet.do("gc.get_freeze_count()")
        assert frozen >= HEAP_SIZE
        puppet.do("few = heap(10)", "fork()", "process()")
        assert abs(puppet.do("gc.get_freeze_count()") - frozen) < 5000
        shown = puppet.shown()
        assert shown.state == "parent"
        assert collections_of(shown, "prefork") == 1


HELPER = """
import http.server, threading, urllib.request, weakref
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
def serve(server):
    server.serve_forever(0.02)
def made_here():
    return http.server.HTTPServer(("127.0.0.1", 0), Quiet)
def in_main():
    server = made_here()
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    return server
def in_thread():
    made, known = [], threading.Event()
    def run():
        made.append(made_here())
        known.set()
        serve(made[0])
    threading.Thread(target=run, daemon=True).start()
    known.wait()
    return made[0]
def answers(server):
    return urllib.request.urlopen("http://127.0.0.1:%d/" % server.server_port).status
def stage():
    import multiprocessing
    model = Node(heap(1000))
    seen = weakref.ref(model)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(abs, range(4))
    frozen = gc.get_freeze_count()
    del model, pool
    gc.collect()
    return frozen, seen() is None
"""


@pytest.mark.parametrize("where", ["in_main", "in_thread"])
def test_a_helpers_listener(python: Interpreter, where: str, ring_dir: Path) -> None:
    """A batch job with its metrics in a thread: its pools are no workers of a server."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(HELPER, f"server = {where}()")
        assert puppet.do("answers(server)") == 204
        for _ in range(3):
            frozen, gone = puppet.do("stage()")
            assert frozen < HEAP_SIZE
            assert gone


# By another program, or another life of this one: socket activation, an upgrade in place.
LISTENS = """
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
os.set_inheritable(listener.fileno(), True)
os.environ["LISTENER"] = str(listener.fileno())
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_an_inherited_listener(python: Interpreter, ring_dir: Path) -> None:
    program = [python.path, "-c", LISTENS, APPS / "puppet.py"]
    with Puppet(python, ring_dir, program=program) as puppet:
        puppet.do("one = socket.socket(fileno=int(os.environ['LISTENER']))", FORK)
        assert not puppet.frozen()
        puppet.do("fork()")
        shown = puppet.shown()
        assert (shown.state, collections_of(shown, "prefork")) == ("parent", 1)
        assert puppet.frozen()
        assert puppet.do("accept(one)") is None, "it still works"


# ---- unfreezing at exit ----

# atexit is last in, first out: what was there before readiness comes after what was added there.
AT_EXIT = """
import atexit, json, os, sys
sys.path.insert(0, sys.argv[1])
from puppet import *
told, role, new = sys.argv[2], "alone", int(sys.argv[4])

def at_exit():
    said["end"] = gc.get_freeze_count()
    with open(os.path.join(told, role), "w") as out:
        json.dump(said, out)

atexit.register(at_exit)
one = listen()
if sys.argv[3] == "fork":
    pid = os.fork()
    role = "parent" if pid else "child"
if role == "parent":
    os.waitpid(pid, 0)
else:
    keep(new)
    arm(one)
said = {"ready": gc.get_freeze_count(), "threshold0": gc.get_threshold()[0]}
"""
# Who exits, and what makes it ready.
ENDS = {
    "alone": ("alone", "ready", 0, False),
    "a parent": ("parent", "fork", 0, False),
    "a child with little of its own": ("child", "fork", 10, True),
    "a child with a heap of its own": ("child", "fork", 60000, False),
}


@modes
@pytest.mark.parametrize("what", ENDS)
def test_unfreezes_at_exit_what_it_froze(
    python: Interpreter, what: str, mode: str, ring_dir: Path, tmp_path: Path
) -> None:
    """Pages that a worker shares would become its own, in all of them at each stop."""
    role, how, new, stays = ENDS[what]
    command = [python.path, "-c", AT_EXIT, APPS, tmp_path, how, str(new)]
    done = run(command, environment(ring_dir, GCPRELOAD_MODE=mode))
    assert (done.returncode, done.stderr) == (0, b"")
    said = json.loads((tmp_path / role).read_text())
    assert said["ready"] >= HEAP_SIZE + (0 if stays else new)
    assert (said["threshold0"] >= 10000) == (role != "parent"), "it was made ready"
    assert (said["end"] >= HEAP_SIZE) == stays
