"""A process that no socket serves by: it waits, works a little, and waits again.

Its argument says how it waits. Says again and again, in a line of JSON, how many collections ran
in these waits, and how many in the shorter ones within its work. The garbage is enough to be due,
and far from the interpreter's own threshold where they begin.
"""

import asyncio
import contextlib
import ctypes
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

EVERY = 0.1  # seconds
SENDS = """
import os, sys, time
while True:
    time.sleep(float(sys.argv[2]))
    try:
        os.write(int(sys.argv[1]), b"x")
    except OSError:
        break
"""
SAID_EVERY = 5  # rounds

counted = {"home": 0, "job": 0, "rounds": 0}


class Node:
    def __init__(self):
        self.me = self


class Signals(Node):
    """Its finalizer is C, which does not look at signals: the handler does not run within it."""

    __del__ = staticmethod(functools.partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGUSR1))


class Woken(Exception):
    pass


def garbage(number=8100):
    for _ in range(number):
        cycle = []
        cycle.append(cycle)


def collections():
    return sum(part["collections"] for part in gc.get_stats())


def are_ours():
    """Thresholds as no interpreter has them itself: with these nothing is collected by itself in a
    few lines of Python."""
    return gc.get_threshold()[0] > 2000


def says(what):
    print(json.dumps(what), flush=True)


def sender(end):
    """A process without the library that sends a byte now and then, as long as anybody reads."""
    env = {name: text for name, text in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, "-c", SENDS, str(end), str(EVERY)]
    return subprocess.Popen(command, env=env, pass_fds=[end])


def fed_socket():
    own, other = socket.socketpair()
    sender(other.fileno())
    other.close()
    return own


def fed_pipe():
    own, other = os.pipe()
    sender(other)
    os.close(other)
    return own


def fed_datagrams():
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender(other.fileno())
    return own, other  # a socket without a peer cannot be sent to


QUIET, QUIET_TOO = socket.socketpair()


def job():
    """Garbage is there, and another wait, of the same kinds."""
    garbage()
    ours = are_ours()
    before = collections()
    select.select([QUIET], [], [], 0.002)
    one = select.poll()
    one.register(QUIET, select.POLLIN)
    one.poll(2)
    QUIET.settimeout(0.002)
    with contextlib.suppress(OSError):
        QUIET.recv(1)
    time.sleep(0.002)
    counted["job"] += collections() - before if ours else 0


def has_waited(before):
    counted["home"] += collections() - before if are_ours() else 0
    counted["rounds"] += 1
    if counted["rounds"] % SAID_EVERY == 0:
        says(counted)


def for_ever(wait):
    while True:
        before = collections()
        wait()
        has_waited(before)
        job()


def by_select():
    own = fed_socket()

    def wait():
        select.select([own], [], [], 5)
        own.recv(1)

    return wait


def by_poll(epoll=False):
    own = fed_socket()
    one = select.epoll() if epoll else select.poll()
    one.register(own, select.POLLIN)
    most = 5 if epoll else 5000

    def wait():
        one.poll(most)
        own.recv(1)

    return wait


def by_time_out():
    """As a Redis client of a queue."""
    own = fed_socket()
    own.settimeout(5)
    return lambda: own.recv(1)


def by_recv():
    own = fed_socket()
    return lambda: own.recv(1)


def by_recvfrom():
    own, other = fed_datagrams()
    return lambda: (own.recvfrom(1), other)


def by_read():
    """As a worker of Celery's pool."""
    own = fed_pipe()
    return lambda: os.read(own, 1)


def by_sleep():
    return lambda: time.sleep(EVERY)


async def in_asyncio():
    reader, _ = await asyncio.open_connection(sock=fed_socket())
    while True:
        before = collections()
        await reader.read(1)
        has_waited(before)
        job()


def under_a_mutex(path):
    """All the time in a library that polls under its own mutex, for which a thread waits that has
    the GIL: who takes the GIL there waits for ever."""
    signal.alarm(120)
    free, locked = ctypes.CDLL(path), ctypes.PyDLL(path)
    reads, _ = os.pipe()

    def want():
        while not free.is_locked():
            pass
        locked.want_mutex()

    def wait():
        wants = threading.Thread(target=want)
        wants.start()
        free.poll_under_mutex(reads, 100)
        wants.join()

    return wait


def with_signals():
    """Whether what a handler raises comes out of the wait in whose collection it was called."""
    one = select.poll()
    one.register(QUIET, select.POLLIN)

    def handler(number, frame):
        raise Woken

    def wait(milliseconds):
        before = collections()
        one.poll(milliseconds)
        return collections() - before

    def awaits():
        try:
            garbage()
            Signals()
            began = time.monotonic()
        except Woken:  # in the interpreter's own collection
            return None
        try:
            # One place: a wait is known by the calls that led to it.
            found = wait(30000 if counted["home"] >= 3 else 100)
        except Woken:
            return time.monotonic() - began
        counted["home"] += found
        return None

    while True:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        gc.collect()  # what was left
        if counted["home"] >= 3:
            signal.signal(signal.SIGUSR1, handler)
        took = awaits()
        if took is not None:
            says({"took": took})
            return


WAYS = {
    "select": by_select,
    "poll": by_poll,
    "epoll": lambda: by_poll(epoll=True),
    "time-out": by_time_out,
    "recv": by_recv,
    "recvfrom": by_recvfrom,
    "read": by_read,
    "sleep": by_sleep,
}


def main():
    while gc.get_freeze_count() < 1000:  # as it has not by itself
        garbage()
    if sys.argv[1] == "asyncio":
        asyncio.new_event_loop().run_until_complete(in_asyncio())
    elif sys.argv[1] == "signals":
        with_signals()
    elif sys.argv[1] == "mutex":
        for_ever(under_a_mutex(sys.argv[2]))
    else:
        for_ever(WAYS[sys.argv[1]]())


main()
