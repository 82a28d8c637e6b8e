"""Programs that wait on a listening socket in ways of their own: each does as without the library.

Each of these once did not.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.run import environment, run, side_by_side
from venvs import Interpreter

LISTEN = """
import os, select, socket, sys, threading
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
def connect():
    socket.create_connection(listener.getsockname()).close()
def later():
    threading.Timer(0.5, connect).start()
"""

PROGRAMS = {
    # A socket's own time-out is no loop: nothing may look as if it had passed.
    "accept with a time-out": """
listener.settimeout(60)
later()
listener.accept()
print("accepted")
""",
    "select without an end": """
later()
readable, _, _ = select.select([listener], [], [])
readable[0].accept()
print("accepted")
""",
    "poll without an end": """
poll = select.poll()
poll.register(listener, select.POLLIN)
r, w = os.pipe()
poll.register(r, select.POLLIN)
later()
print(len(poll.poll()))
""",
    # Before 3.10 the list of atexit belongs to the module object.
    "atexit imported after it is ready": """
class Cycle:
    def __del__(self, write=os.write):
        write(1, b"finalized")
cycle = Cycle()
cycle.me = cycle
select.select([listener], [], [], 0.01)
del cycle
import atexit
""",
    # An import of ours would run the program's hooks.
    "its own import hook": """
seen = []
class Hook:
    lock = threading.Lock()
    def find_spec(self, name, path=None, target=None):
        with self.lock:
            seen.append(name)
            for _ in range(3000000 if name == "not_there" else 0):
                x = []
                x.append(x)
sys.meta_path.insert(0, Hook())
select.select([listener], [], [], 0.01)
assert "gc" not in seen, seen
try:
    import not_there
except ImportError:
    print("done")
""",
    # What is polled may have taken the number of a socket that was closed.
    "a reused descriptor": """
number = listener.fileno()
select.select([listener], [], [], 0.01)
listener.close()
one, two = socket.socketpair()
os.dup2(one.fileno(), number)
print(select.select([number], [], [], 0.01))
two.send(b"x")
print(select.select([number], [], [], 60))
""",
    "os.fork in a sub-interpreter": """
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    interpreters = None
code = "import os\\ntry:\\n    os.fork() or os._exit(0)\\nexcept RuntimeError:\\n    pass"
if interpreters:
    interpreters.run_string(interpreters.create(), code)
print("done")
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_does_as_without(python: Interpreter, name: str, ring_dir: Path) -> None:
    command = [python.path, "-c", LISTEN + PROGRAMS[name]]
    under = environment(ring_dir, GCPRELOAD_MODE="", GCPRELOAD_FORCE="1")
    stock, ours = side_by_side(command, environment(), under)
    assert (ours.stdout, ours.stderr, ours.returncode) == (
        stock.stdout,
        stock.stderr,
        stock.returncode,
    )
    assert stock.returncode == 0
    assert stock.stdout


TITLE = """
import ctypes
# A title of the process is written over its environment (setproctitle).
libc = ctypes.CDLL(None)
block = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
pointers = ctypes.cast(block, ctypes.POINTER(ctypes.c_void_p))
index = 0
while pointers[index]:
    text = ctypes.string_at(pointers[index])
    if text.startswith(b"GCPRELOAD_"):
        ctypes.memset(pointers[index], 0, len(text))
    index += 1
select.select([listener], [], [], 0.01)
import gc
print(gc.get_threshold()[0])
"""


def test_a_title_over_the_environment(python: Interpreter, ring_dir: Path) -> None:
    done = run([python.path, "-c", LISTEN + TITLE], environment(ring_dir))
    assert (done.stdout, done.stderr, done.returncode) == (b"50000\n", b"", 0)
    (place,) = ring_dir.iterdir()
    assert len(list(place.iterdir())) == 1


SIGNAL = """
import signal
class Raised(Exception):
    pass
def handler(number, frame):
    raise Raised
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == "atexit" and not fired:
            fired.append(name)
            os.kill(os.getpid(), signal.SIGUSR1)
        return None
fired = []
signal.signal(signal.SIGUSR1, handler)
sys.meta_path.insert(0, Hook())
assert "atexit" not in sys.modules
try:
    select.select([listener], [], [], 0.01)
    for _ in range(1000):
        pass
    print("nothing was raised")
except Raised:
    print("raised")
import gc
print(fired, gc.get_threshold()[0])
"""


def test_a_signal_in_the_import_of_atexit(python: Interpreter, ring_dir: Path) -> None:
    """Before 3.10, the only import after the start: what its handler raises is the program's."""
    # What site-packages import at the start is not asked for.
    command = [python.path, "-S", "-c", LISTEN + SIGNAL]
    done = run(command, environment(ring_dir, GCPRELOAD_FORCE="1"))
    raised = b"raised\n['atexit'] 50000\n" if python.minor < (3, 10) else b""
    expected = raised or b"nothing was raised\n[] 50000\n"
    assert (done.stdout, done.stderr, done.returncode) == (expected, b"", 0)
