"""Programs without a listening socket: settles.py WHAT. Each works for ever, bit by bit."""

import ctypes
import gc
import os
import queue
import subprocess
import sys
import threading
import time

MESSAGE = 5000  # objects, so that each has the collector run
HEAP = [[number] for number in range(20000)]
kept = []


def work():
    return len([[number] for number in range(MESSAGE)])


def feed():
    """Another program, which this one waits for."""
    words = ["sh", "-c", "while echo; do sleep 0.2; done"]
    env = {name: text for name, text in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.Popen(words, stdout=subprocess.PIPE, bufsize=0, env=env).stdout


def consume():
    """Messages from a pipe."""
    pipe = feed()
    while os.read(pipe.fileno(), 1):
        work()


def serve_queue():
    """A worker of a queue in a thread, while the main thread is in C for good."""
    jobs = queue.Queue()

    def worker():
        while True:
            jobs.get()
            work()

    def fill():
        while True:
            jobs.put(None)
            time.sleep(0.1)

    for target in (worker, fill):
        threading.Thread(target=target, daemon=True).start()
    ctypes.CDLL(None).sleep(1000)


def schedule():
    while True:
        time.sleep(0.1)
        work()


def grow():
    """A job that keeps what it made."""
    while True:
        time.sleep(0.1)
        kept.append([[number] for number in range(MESSAGE)])


class Node:
    def __init__(self):
        self.me = self


def litter():
    """Its garbage gets old: full collections find it. Its memory is large beside that."""
    kept.append(b"x" * (100 << 20))
    while True:
        time.sleep(0.1)
        kept.append([Node() for _ in range(MESSAGE)])
        del kept[1:-5]


def load():
    """A job that imports all the time."""
    for number in range(100000):
        time.sleep(0.1)
        work()
        sys.modules["module%d" % number] = sys


def fork():
    """The parent of workers that are forked."""
    if os.fork() == 0:
        consume()
        os._exit(0)
    schedule()


def fork_once():
    """As gevent does to run another program."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    schedule()


def tune():
    """It tunes its own collector."""
    gc.set_threshold(1000, 20, 30)
    schedule()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
