"""Another preloaded library may show the program another time; ours goes by the real one."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from lib.paths import APPS, LIBRARY
from lib.rings import ring_files
from lib.run import environment, run
from venvs import Interpreter

ATTACHED_NS, CHANGED_NS = 192, 280  # in the header of a ring

# libfaketime itself stands in front of epoll_wait, poll and select, and fakes no time within.
TIMES = ["+0", "-15d", "+15d", "2020-01-01 00:00:00", "+0 x10", "+0 x0.1"]

SERVER = """
import gc, select, socket, sys
listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
if sys.argv[1] == 'epoll':
    epoll = select.epoll(); epoll.register(listener, select.EPOLLIN)
    wait = lambda: epoll.poll(0.001)
elif sys.argv[1] == 'poll':
    poll = select.poll(); poll.register(listener, select.POLLIN)
    wait = lambda: poll.poll(1)
else:
    wait = lambda: select.select([listener], [], [], 0.001)
for waits in range(200):
    wait()
    if gc.get_freeze_count(): sys.exit('ready')
"""


@pytest.fixture(scope="session")
def faketime() -> Path:
    for found in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return found
    pytest.skip("libfaketime is not installed (scripts/setup test installs it)")


@pytest.fixture(params=["first", "last"])
def preload(request: pytest.FixtureRequest, faketime: Path) -> str:
    both = [str(faketime), str(LIBRARY)]
    return ":".join(both if request.param == "first" else reversed(both))


@pytest.mark.parametrize("fake", TIMES)
@pytest.mark.parametrize("wait", ["epoll", "poll", "select"])
def test_a_server_becomes_ready_in_any_time(
    wait: str, fake: str, one_of_two_pythons: Interpreter, preload: str, ring_dir: Path
) -> None:
    env = environment(ring_dir, LD_PRELOAD=preload, FAKETIME=fake)
    before = time.monotonic_ns()
    done = run([one_of_two_pythons.path, "-c", SERVER, wait], env)
    assert done.stderr == b"ready\n"
    (ring,) = ring_files(ring_dir)
    for offset in (ATTACHED_NS, CHANGED_NS):
        (then,) = struct.unpack_from("<Q", ring.read_bytes(), offset)
        assert before <= then <= time.monotonic_ns()


def test_a_server_becomes_ready(python: Interpreter, preload: str, ring_dir: Path) -> None:
    env = environment(ring_dir, LD_PRELOAD=preload, FAKETIME="-15d")
    assert run([python.path, "-c", SERVER, "epoll"], env).stderr == b"ready\n"


def test_young_rings_are_not_swept_as_old(
    one_of_two_pythons: Interpreter, preload: str, ring_dir: Path
) -> None:
    """In fifteen days they will be."""
    app = [one_of_two_pythons.path, APPS / "ready_once.py"]
    assert run(app, environment(ring_dir)).returncode == 0
    (young,) = ring_files(ring_dir)
    env = environment(ring_dir, LD_PRELOAD=preload, FAKETIME="+15d")
    assert run(app, env).returncode == 0
    assert young in ring_files(ring_dir)
