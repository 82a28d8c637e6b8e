"""Waits of a process in mode idle, one after the other; prints what was collected in each.

The garbage is enough to be due, and far from the interpreter's own threshold.
"""

import ctypes
import functools
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time


class Node:
    def __init__(self):
        self.me = self


class Signals(Node):
    """Its finalizer is C, which does not look at signals: the handler does not run within it."""

    __del__ = staticmethod(functools.partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGUSR1))


def garbage(number=8000):
    for _ in range(number):
        cycle = []
        cycle.append(cycle)


def collections():
    return sum(part["collections"] for part in gc.get_stats())


def collected_in(wait, times=5):
    """How many collections ran in so many waits; a look is due again after a few ms."""
    before = collections()
    for _ in range(times):
        time.sleep(0.02)
        wait()
    return collections() - before


def busy_thread(wait):
    stop = threading.Event()

    def work():
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    found = collected_in(wait)
    stop.set()
    thread.join()
    return found


def after_work(wait):
    """Collections in one wait that begins while another thread still works for a moment."""
    garbage()
    time.sleep(0.1)
    ends = time.monotonic() + 0.05

    def work():
        while time.monotonic() < ends:
            sum(range(100))

    thread = threading.Thread(target=work)
    thread.start()
    before = collections()
    wait()
    thread.join()
    return collections() - before


class Woken(Exception):
    pass


def signal_in_a_collection(listener):
    """Whether an exception comes out of the wait in whose collection its handler was called."""
    called = []

    def handler(number, frame):
        called.append(number)
        raise Woken

    while not called:  # on a busy machine it may not have been a chance
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        gc.collect()  # what was left then
        signal.signal(signal.SIGUSR1, handler)
        garbage()
        Signals()
        time.sleep(0.02)
        try:
            select.select([listener], [], [], 1)
        except Woken:
            return True
    return False


def with_a_callback(look, *arguments):
    """The same while there is a function in Python that each collection calls."""

    def callback(phase, info):
        sum(range(10))  # where the handler may be run

    gc.callbacks.append(callback)
    found = look(*arguments)
    gc.callbacks.remove(callback)
    return found


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    return listener


def settles(kind):
    """A server that waits by select, poll or epoll."""
    listener = listen()
    poll = {"poll": select.poll, "epoll": select.epoll}.get(kind)
    poll = poll and poll()
    if poll:
        poll.register(listener, select.POLLIN)

    def serve(seconds):
        if kind == "select":
            select.select([listener], [], [], seconds)
        else:
            poll.poll(seconds * (1000 if kind == "poll" else 1))

    serve(0.01)
    assert gc.get_threshold()[0] > 2000, gc.get_threshold()  # more than any interpreter's own
    json.dump(after_work(lambda: serve(1)), sys.stdout)


def main():
    listener = listen()
    upstream, other = socket.socketpair()

    def serve():
        select.select([listener], [], [], 0.01)

    serve()
    assert gc.get_threshold()[0] > 2000, gc.get_threshold()  # more than any interpreter's own
    said = {}
    garbage()
    said["upstream"] = collected_in(lambda: select.select([upstream], [], [], 0.01))
    poll = select.poll()
    poll.register(upstream, select.POLLIN)
    said["driver"] = collected_in(lambda: poll.poll(10))
    said["sleep"] = collected_in(lambda: time.sleep(0.01))
    said["look"] = collected_in(lambda: select.select([listener], [], [], 0))
    client = socket.create_connection(listener.getsockname())
    said["work"] = collected_in(serve)  # a connection waits to be accepted
    listener.accept()[0].close()
    client.close()
    said["busy"] = busy_thread(serve)
    said["server"] = collected_in(serve) > 0
    said["signal"] = signal_in_a_collection(listener)
    said["callback"] = with_a_callback(signal_in_a_collection, listener)
    json.dump(said, sys.stdout)
    other.close()


if sys.argv[1:] == ["signal"]:
    json.dump(signal_in_a_collection(listen()), sys.stdout)
elif sys.argv[1:] == ["callback"]:
    json.dump(with_a_callback(signal_in_a_collection, listen()), sys.stdout)
elif sys.argv[1:]:
    settles(sys.argv[1])
else:
    main()
