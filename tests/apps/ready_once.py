"""Becomes ready as a server does, says what its collector looks like, and ends.

Each argument is a function below, called in that order before the readiness. One that returns a
function has it called afterwards; what that returns is said too.
"""

import contextlib
import ctypes
import errno
import gc
import json
import os
import platform
import select
import signal
import socket
import sys
import threading


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    listener.setblocking(False)
    return listener


def collector():
    return {"thresholds": gc.get_threshold(), "frozen": gc.get_freeze_count()}


FIRST = collector()  # 3.12 has some objects frozen of its own


def hold():
    """Stays, as it is, until its input ends."""

    def stats():
        gc.disable()
        return gc.get_stats()

    return stats


def churn():
    """Afterwards objects in cycles that grow old, and are dropped."""

    def make():
        kept = []
        for number in range(200):
            cycle = [[number] for _ in range(2000)]
            cycle.append(cycle)
            kept.append(cycle)
            del kept[:-20]
        return len(kept)

    return make


def embedder():
    """A host of Python's that leaves SIGXFSZ as it is: it ends the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def few_descriptors():
    """One socket more can be made, and then nothing can be opened."""
    import resource

    limit = os.dup(0)
    os.close(limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit + 1, limit + 1))


def unflushed():
    """A file that only a cycle holds, and that nobody flushes."""

    class Holder:
        pass

    global HOLDER
    HOLDER = Holder()
    HOLDER.me = HOLDER
    HOLDER.file = open(os.environ["UNFLUSHED"], "w")
    HOLDER.file.write("7 bytes")


def interpreters():
    try:
        import _interpreters
    except ImportError:
        import _xxsubinterpreters as _interpreters
    return _interpreters


def subinterpreter():
    """One that has been: PyGILState_Check() says yes from now on, whoever asks."""
    try:
        one = interpreters().create()
    except ImportError:
        __import__("_testcapi").run_in_subinterp("x = 1")
        return
    interpreters().run_string(one, "x = 1")
    interpreters().destroy(one)


def subinterpreters():
    """Three that collect, and stay."""
    work = "import gc\nfor i in range(3000): x = []; x.append(x)\ngc.collect(); gc.collect(1)\n"
    tell = "import gc, json, os\ngc.disable()\nos.write(%d, json.dumps(gc.get_stats()).encode())"
    subs = [interpreters().create() for _ in range(3)]
    for sub in subs:
        interpreters().run_string(sub, work)

    def stats():
        answers = []
        for sub in subs:
            reading, writing = os.pipe()
            interpreters().run_string(sub, tell % writing)
            answers.append(json.loads(os.read(reading, 4096).decode()))
        return answers

    return stats


def helper_thread():
    """A metrics server of its own, started while the application is still loaded."""
    metrics = listen()

    def serve():
        select.select([metrics], [], [], 0)
        poll = select.poll()
        poll.register(metrics, select.POLLIN)
        poll.poll(0)
        epoll = select.epoll()
        epoll.register(metrics.fileno(), select.EPOLLIN)
        epoll.poll(0)
        with contextlib.suppress(BlockingIOError):
            metrics.accept()

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    seen = collector() == FIRST
    return lambda: seen


def multiprocessing_listener():
    """multiprocessing listens for its own children, on the main thread too."""
    from multiprocessing.connection import Listener

    own = Listener(family="AF_UNIX")
    select.select([own._listener._socket], [], [], 0)
    seen = collector() == FIRST
    own.close()
    return lambda: seen


def listen_and_wait_elsewhere():
    """As gunicorn's master: listens, and waits for something else."""
    own = listen()
    reading, _ = os.pipe()
    select.select([reading], [], [], 0)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.poll(0)
    seen = collector() == FIRST
    own.close()
    return lambda: seen


def raw_children():
    """Children that the handlers of pthread_atfork do not see, each of which collects."""

    def clone():
        number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
        return ctypes.PyDLL(None).syscall(number, int(signal.SIGCHLD), 0, 0, 0, 0)

    def make():
        statuses = []
        for fork in (clone, getattr(ctypes.PyDLL(None), "_Fork", clone), os.fork):
            pid = fork()
            if pid == 0:
                gc.collect()
                select.select([], [], [], 0)
                gc.collect()
                os._exit(0)
            statuses.append(os.waitpid(pid, 0)[1])
        # vfork: the child has the parent's own memory until it execs.
        spawn = getattr(os, "posix_spawn", lambda *words: os.spawnve(os.P_NOWAIT, *words))
        pid = spawn(sys.executable, [sys.executable, "-c", "import gc; gc.collect()"], os.environ)
        statuses.append(os.waitpid(pid, 0)[1])
        return statuses

    return make


def by_ctypes(library):
    """Armed by a C call; returns what it did to errno."""
    listener = listen()

    class PollFd(ctypes.Structure):
        _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("got", ctypes.c_short)]

    libc = library(None, use_errno=True)
    one = PollFd(listener.fileno(), select.POLLIN, 0)
    ctypes.set_errno(errno.EDOM)
    said = libc.poll(ctypes.byref(one), ctypes.c_ulong(1), 0)
    seen = [said, ctypes.get_errno() == errno.EDOM, collector() != FIRST]
    return lambda: seen


def lasting_child():
    """A child that outlives this process; it ends when its input does."""

    def make():
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.read(int(os.environ["CHILD_WAITS_ON"]), 1)
            os._exit(0)
        return pid

    return make


def socket_called_listener():
    """A server may name its socket as it likes."""
    own = socket.socket(socket.AF_UNIX)
    own.bind(os.path.join(os.environ["SOCKETS"], "listener-1.sock"))
    own.listen(1)
    for _ in range(50):
        select.select([own], [], [], 0.002)
    seen = collector() != FIRST
    return lambda: seen


def errno_without_gil():
    return by_ctypes(ctypes.CDLL)


def errno_with_gil():
    return by_ctypes(ctypes.PyDLL)


def small_select():
    """The caller's bitmap is one word, and its memory ends there."""
    listener = listen()
    libc = ctypes.CDLL(None, use_errno=True)
    page = os.sysconf("SC_PAGESIZE")
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    pages = libc.mmap(None, 2 * page, 3, 0x22, -1, 0)
    assert libc.mprotect(ctypes.c_void_p(pages + page), ctypes.c_size_t(page), 0) == 0
    word = ctypes.c_ulong.from_address(pages + page - 8)
    word.value = 1 << listener.fileno()
    none = (ctypes.c_long * 2)(0, 0)
    said = libc.select(listener.fileno() + 1, ctypes.byref(word), None, None, none)
    seen = [said, word.value, collector() != FIRST]
    return lambda: seen


def main():
    after = [(name, globals()[name]()) for name in sys.argv[1:]]
    listener = listen()
    for _ in range(50):  # as a server's loop; not each wait is looked at
        select.select([listener], [], [], 0.002)
        if collector() != FIRST:
            break
    report = collector()
    report.update((name, function()) for name, function in after if function)
    print(json.dumps(report))
    if "hold" in sys.argv[1:]:
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
