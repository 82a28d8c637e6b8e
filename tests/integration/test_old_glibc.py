"""One library for every glibc: ordinary programs of a Debian 11 (glibc 2.31) run under it.

A list of symbols proves nothing here: dlsym lived in another library then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.debian import other_debian
from lib.paths import LIBRARY, ROOT
from lib.rings import ps, wait_for_state
from lib.run import Completed, environment, run
from lib.server import Server

ROOTFS = ROOT / "build" / "debian11"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    """Path of the library inside of a Debian 11."""
    other_debian("debian11")
    name = f"libgcpreload-{os.getpid()}.so"
    shutil.copy(LIBRARY, ROOTFS / name)
    yield f"/{name}"
    (ROOTFS / name).unlink()


def inside(command: list[str], library: str) -> Completed[bytes]:
    """LD_PRELOAD is set inside only: chroot(8) is a program of today's glibc."""
    preload = ["env", f"LD_PRELOAD={library}", "GCPRELOAD_DIR=/nowhere"]
    return run(["chroot", ROOTFS, *preload, *command], environment(PATH=PATH))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["true"], b""),
        (["sh", "-c", "echo said"], b"said\n"),
        # It forks, through our fork(), and has no libdl: the real one is found without dlsym.
        (["dash", "-c", "echo said | cat; (echo again)"], b"said\nagain\n"),
        (["git", "--version"], b"git version 2.30.2\n"),
        (["python3", "-c", "print('said')"], b"said\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_ordinary_programs_run(command: list[str], says: bytes, library: str) -> None:
    done = inside(command, library)
    assert (done.stdout, done.stderr, done.returncode) == (says, b"", 0)


def test_it_is_an_old_glibc_and_the_library_is_in(library: str) -> None:
    maps = inside(["cat", "/proc/self/maps"], library)
    if maps.returncode:  # no /proc inside: then the loader says it
        maps = inside(["env", "LD_TRACE_LOADED_OBJECTS=1", "/bin/true"], library)
    assert library.encode() in maps.stdout
    assert b"2.31" in inside(["sh", "-c", "ls /lib/*/libc-2.31.so"], library).stdout


def test_python_becomes_ready(library: str, ring_dir: Path) -> None:
    """Debian 11's own python3, with its measurements on a tmpfs that both worlds see."""
    (ROOTFS / "mnt").mkdir(exist_ok=True)
    script = 'mount --bind "$1" "$2"; shift 2; exec chroot "$@"'
    command = ["unshare", "-m", "sh", "-ec", script, "sh", ring_dir, ROOTFS / "mnt", ROOTFS]
    command += ["env", f"LD_PRELOAD={library}", "GCPRELOAD_DIR=/mnt", "PYTHONUNBUFFERED=1"]
    command += ["GCPRELOAD_MODE=freeze", "GCPRELOAD_YOUNG_MS=0"]
    command += ["python3", "-c", SERVER]
    with Server(command, environment(PATH=PATH)) as server:
        (process,) = wait_for_state(ring_dir, "ready")
        assert process.python.startswith("3.9.")
        assert process.thresholds == [50000, 10, 10]
        assert process.frozen_objects > 0
        assert server.get("/") == "hello"
    assert ps(ring_dir) == []


SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

server = HTTPServer(("127.0.0.1", 0), Handler)
print("127.0.0.1 port", server.server_port)
server.serve_forever()
"""
