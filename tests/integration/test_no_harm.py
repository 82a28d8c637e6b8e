"""No program behaves differently under the library.

Each is run twice, with the same words, environment and directory: once under an empty library
of the same name, once under ours. Everything it wrote, its exit status and what it says of its
descriptors, threads and signals must be equal byte for byte, and no file may be left.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from lib.paths import APPS, LIBRARY
from lib.rings import ps, ring_files
from lib.run import Completed, environment, files_below, run, wait_for
from lib.server import Server
from venvs import Interpreter

Both = Callable[..., Completed[bytes]]


@pytest.fixture
def both(tmp_path: Path, ring_dir: Path, empty_library: Path) -> Both:
    """Runs a command without and with the library, and compares all of it."""
    preload, work = tmp_path / "preload.so", tmp_path / "work"
    env = environment(ring_dir, GCPRELOAD_MODE="", LD_PRELOAD=str(preload), PYTHONHASHSEED="0")
    env["PYTHONDONTWRITEBYTECODE"] = "1"

    def once(library: Path, command: Sequence[str | Path]) -> tuple[Completed[bytes], list[str]]:
        preload.unlink(missing_ok=True)
        preload.symlink_to(library)
        work.mkdir(exist_ok=True)
        done = run(command, env, stdin=b"some input\n", cwd=work)
        written = [f"{name}: {(work / name).read_bytes()!r}" for name in files_below(work)]
        for name in files_below(work):
            (work / name).unlink()
        return done, written

    def compare(*command: str | Path, leaves: int = 0) -> Completed[bytes]:
        stock, stock_wrote = once(empty_library, command)
        assert files_below(ring_dir) == []
        ours, we_wrote = once(LIBRARY, command)
        assert ours.stderr == stock.stderr
        assert ours.stdout == stock.stdout
        assert ours.returncode == stock.returncode
        assert we_wrote == stock_wrote
        assert len(files_below(ring_dir)) == leaves, files_below(ring_dir)
        return ours

    return compare


SHELL = """
echo out; echo err >&2; cat; for f in /proc/self/fd/*; do echo "${f##*/}"; done
env | grep -c . ; (exit 3); echo $?; sh -c 'echo a child' | cat; exec 2>&-; exit 5
"""

PROGRAMS = {
    "true": ["true"],
    "false": ["false"],
    "cat": ["cat"],
    "sh": ["sh", "-c", SHELL],
    "bash": ["bash", "-c", SHELL],
    "dash": ["dash", "-c", SHELL],
    "sh-without-stderr": ["sh", "-c", "exec ls /proc/self/fd 2>&-"],
    "sh-without-any": ["sh", "-c", "exec true <&- >&- 2>&-"],
    "env": ["env"],
    "perl": [
        "perl",
        "-e",
        'opendir D, "/proc/self/fd"; print sort readdir D; warn "err\n"; '
        "select undef, undef, undef, 0.01; print <STDIN>; print `echo a child`; exit 4",
    ],
    "git-version": ["git", "--version"],
    "git": [
        "sh",
        "-ec",
        "git init -q .; date=2020-01-01T00:00:00Z; export GIT_AUTHOR_DATE=$date "
        "GIT_COMMITTER_DATE=$date; cat >file; git add file; git -c user.name=n -c user.email=e@e "
        "commit -q -m one; git log -p; git status; git gc -q; git log --oneline; rm -rf .git",
    ],
    "crash": ["sh", "-c", "kill -SEGV $$"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, both: Both) -> None:
    both(*PROGRAMS[name])


def test_native_program(native: Path, both: Both) -> None:
    """errno kept, no dlerror pending, sets not read past their end, cancellation cleans up."""
    done = both(native)
    assert done.returncode == 3
    said = done.stdout.decode()
    assert "dlerror: none\n" in said
    assert "poll(NULL, 0, 0) = 0, errno 77\n" in said
    assert said.count("the cancelled thread cleaned up\n") == 2


LOOK = """
import os, sys, signal
print('gc' in sys.modules, len(sys.modules), sorted(sys.modules))
import gc
print(gc.get_threshold(), gc.isenabled(), gc.get_debug(), len(gc.garbage))
print(getattr(gc, 'get_freeze_count', int)())
print(sorted(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))
# Not SigQ: that is of all processes of the user.
print([line for line in open('/proc/self/status') if line[:6] in ('SigBlk', 'SigIgn', 'SigCgt')])
import atexit
print(getattr(atexit, '_ncallbacks', int)(), signal.getsignal(signal.SIGUSR1))
print(os.environ['LD_PRELOAD'], sys.argv, sys.flags)
"""

GARBAGE = """
import gc, sys
class Node(object):
    def __init__(self): self.me = self
    def __del__(self): sys.stdout.write('x')
seen = []
if hasattr(gc, 'callbacks'):
    gc.callbacks.append(lambda phase, info: seen.append((phase, info['generation'])))
for i in range(5000): Node()
gc.collect()
print(len(seen) > 2)  # when the collector runs by itself may differ, and nothing else
keep = Node()
file = open('late.txt', 'w'); file.write('7 bytes'); keep.file = file; del file
"""

CHILDREN = """
import os, subprocess, sys
for words in (['true'], [sys.executable, '-c', 'print(1)'], ['sh', '-c', 'ls /proc/self/fd']):
    sys.stdout.flush()
    print(subprocess.call(words))
print(subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
      .communicate(b'through')[0])
print(os.system('exit 3'), os.popen('echo popen').read())
print(subprocess.call(['true'], preexec_fn=lambda: None, close_fds=False))
"""

FORK = """
import os, sys, gc
for end in (lambda: os._exit(3), lambda: sys.exit(4), lambda: os.abort(), lambda: 1 // 0):
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        gc.collect()
        print(sorted(os.listdir('/proc/self/fd')))
        end()
    print(os.waitpid(pid, 0)[1] & ~128)
"""

MULTIPROCESSING = """
import multiprocessing, os, sys
if __name__ == '__main__':
    context = multiprocessing.get_context(%r) if hasattr(multiprocessing, 'get_context') \
        else multiprocessing
    for i in range(3):
        child = context.Process(target=sys.exit, args=(i,))
        child.start(); child.join(); print(child.exitcode)
    queue = context.Queue()
    child = context.Process(target=queue.put, args=('through the queue',))
    child.start(); print(queue.get()); child.join()
    pool = context.Pool(2)
    print(pool.map(abs, [-1, -2, 3])); pool.close(); pool.join()
    print(sorted(os.listdir('/proc/self/fd'))[:3])
"""

THREADS = """
import select, socket, threading, time
a, b = socket.socketpair()
def work():
    print(b.recv(5)); b.sendall(b'done')
thread = threading.Thread(target=work); thread.start()
a.sendall(b'hello'); print(select.select([a], [], [], 30)[0] == [a], a.recv(4)); thread.join()
poll = select.poll(); poll.register(a, select.POLLIN); print(poll.poll(0))
epoll = select.epoll(); epoll.register(a.fileno(), select.EPOLLIN); print(epoll.poll(0))
time.sleep(0.01); server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(1)
client = socket.create_connection(server.getsockname()); server.close(); client.close()
"""

# What may be said to any Python since 2.7.
ANY_PYTHON: dict[str, list[str]] = {
    "pass": ["-c", "pass"],
    "isolated": ["-S", "-E", "-c", "import sys; print(sorted(sys.modules))"],
    "look": ["-c", LOOK],
    "garbage": ["-c", GARBAGE],
    "children": ["-c", CHILDREN],
    "fork": ["-c", FORK],
    "multiprocessing": ["-c", MULTIPROCESSING % "fork"],
    "threads": ["-c", THREADS],
    "error": ["-c", "import sys; sys.stderr.write('err'); 1 // 0"],
    "exit": ["-c", "import sys; sys.exit(5)"],
    "at-once": ["-c", "import os; os._exit(7)"],
    "crash": ["-c", "import os; os.kill(os.getpid(), 11)"],
    "abort": ["-c", "import os; os.abort()"],
    "input": ["-c", "import sys; print(sys.stdin.read())"],
    "script": ["-"],
    "version": ["-V"],
}
PYTHON: dict[str, list[str]] = {
    **ANY_PYTHON,
    "isolated": ["-I", "-S", "-E", "-c", "import sys; print(sorted(sys.modules))"],
    "dev": ["-X", "dev", "-c", LOOK + GARBAGE],
    "dev-children": ["-X", "dev", "-W", "ignore", "-c", CHILDREN],
    "spawn": ["-c", MULTIPROCESSING % "spawn"],
    "interactive": ["-i", "-q", "-c", "1"],
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(python: Interpreter, name: str, both: Both) -> None:
    both(python.path, *PYTHON[name])


@pytest.mark.parametrize("name", ANY_PYTHON)
def test_old_python_is_left_alone(old_python: Interpreter, name: str, both: Both) -> None:
    both(old_python.path, *ANY_PYTHON[name])


def test_gc_is_not_in_sys_modules(python: Interpreter, ring_dir: Path) -> None:
    """Unless stock Python has it there; and a later import finds the same callbacks."""
    code = "import sys; print('gc' in sys.modules); import gc; print(len(gc.callbacks))"
    done = run([python.path, "-I", "-S", "-c", code], environment(ring_dir, GCPRELOAD_MODE=""))
    assert done.stdout.split() == [b"False", b"1"]


def test_descriptors_of_a_ready_server(python: Interpreter, both: Both) -> None:
    """Readiness opens nothing that stays open, and leaves one file: that of the process."""
    code = (
        "import os, select, socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1)\n"
        "select.select([s], [], [], 0); print(sorted(os.listdir('/proc/self/fd')))\n"
        "print(len(os.listdir('/proc/self/task')))\n"
        "status = open('/proc/self/status')\n"
        "print([line for line in status if line[:6] in ('SigBlk', 'SigIgn', 'SigCgt')])"
    )
    both(python.path, "-c", code, leaves=1)


CHILDREN_1000 = {
    "subprocess": "import subprocess\nfor _ in range(1000): assert subprocess.call(['true']) == 0",
    "multiprocessing": "import multiprocessing, os\n"
    "context = multiprocessing.get_context('fork')\n"
    "for _ in range(1000):\n"
    "    child = context.Process(target=len, args=('x',)); child.start(); child.join()\n"
    "    assert child.exitcode == 0",
    "fork": "import gc, os\n"
    "for _ in range(1000):\n"
    "    pid = os.fork()\n"
    "    if not pid: gc.collect(0); os._exit(0)\n"
    "    assert os.waitpid(pid, 0)[1] == 0",
}


@pytest.mark.parametrize("kind", CHILDREN_1000)
@pytest.mark.parametrize("mode", ["concurrent", "observe"])
def test_1000_children_leave_nothing(
    one_of_two_pythons: Interpreter, kind: str, mode: str, ring_dir: Path
) -> None:
    python = one_of_two_pythons
    env = environment(ring_dir, GCPRELOAD_MODE=mode)
    done = run([python.path, "-c", CHILDREN_1000[kind]], env)
    assert (done.returncode, done.stderr) == (0, b"")
    # A parent that observed for two seconds may have a file of its own, and no child may.
    assert len(files_below(ring_dir)) <= (mode == "observe"), files_below(ring_dir)


def test_exec_of_a_ready_server(python: Interpreter, ring_dir: Path) -> None:
    """The same pid and start time: the new program has a file of its own."""
    command = [python.path, APPS / "exec_server.py"]
    with Server(command, environment(ring_dir, GCPRELOAD_MODE="")) as server:
        (before,) = wait_for("a ring", lambda: ps(ring_dir))
        old_files = ring_files(ring_dir)
        assert server.get("/exec") == "hello"
        assert server.get("/") == "hello again"
        wait_for("a new ring", lambda: set(ring_files(ring_dir)) - set(old_files))
        (after,) = wait_for("one ready process", lambda: ps(ring_dir))
        assert (before.pid, before.state) == (server.pid, "ready")
        assert (after.pid, after.state) == (server.pid, "ready")
        assert after.frozen_objects > 1000
        every = ps(ring_dir, "--all")
        assert sorted((p.pid, p.state) for p in every if p.pid == server.pid) == [
            (server.pid, "exited"),
            (server.pid, "ready"),
        ]


def test_unflushed_file_is_written_at_exit(
    python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Held by a frozen cycle, which the interpreter's last collection must find."""
    env = environment(ring_dir, GCPRELOAD_MODE="", UNFLUSHED=str(tmp_path / "file"))
    done = run([python.path, APPS / "ready_once.py", "unflushed"], env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["frozen"] > 1000
    assert (tmp_path / "file").read_text() == "7 bytes"


def test_nothing_is_on_atexit_before_readiness(python: Interpreter, ring_dir: Path) -> None:
    code = "import atexit; print(atexit._ncallbacks())"
    done = run([python.path, "-S", "-E", "-c", code], environment(ring_dir, GCPRELOAD_MODE=""))
    assert done.stdout == b"0\n"


def test_disabled_is_as_without(python: Interpreter, ring_dir: Path) -> None:
    """GCPRELOAD_DISABLE=1 is read before anything else, bad settings too."""
    env = environment(ring_dir, GCPRELOAD_DISABLE="1", GCPRELOAD_MODE="nonsense")
    done = run([python.path, APPS / "ready_once.py"], env)
    stock = run([python.path, APPS / "ready_once.py"], environment())
    assert (done.stdout, done.stderr, done.returncode) == (stock.stdout, b"", 0)
    callbacks = run([python.path, "-c", "import gc; print(gc.callbacks)"], env)
    assert callbacks.stdout == b"[]\n"
    assert files_below(ring_dir) == []


def test_the_tests_do_compare(both: Both) -> None:
    """The pair of runs differs in the library, and in nothing else."""
    with pytest.raises(AssertionError):
        both(sys.executable, "-c", "import gc; print(len(gc.callbacks))")
    with pytest.raises(AssertionError):
        both(sys.executable, "-c", "import os; print(os.getpid())")
    assert os.path.exists(LIBRARY)
