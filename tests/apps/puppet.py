"""Does what its input says, line by line, on its main thread; answers a line of JSON to each.

A line is a JSON string: an expression, whose value is the answer, or statements. Between two
lines it waits in read(2), which is nobody's readiness.
"""

import gc
import json
import os
import select
import socket
import sys

HEAP_SIZE = 20000


class Node:
    """Something with a cycle."""

    def __init__(self, payload=None):
        self.me = self
        self.payload = payload


def heap(number=HEAP_SIZE):
    return [Node([index]) for index in range(number)]


HEAP = heap()
KEPT = []


def keep(number=HEAP_SIZE):
    """More that stays."""
    KEPT.append(heap(number))


def garbage(number=1000):
    """Enough of it has the collector run by itself."""
    for _ in range(number):
        Node()


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    listener.setblocking(False)
    return listener


def arm(listener):
    """A wait on a listening socket that does not wait."""
    select.select([listener], [], [], 0)


def accept(listener):
    """A connection comes, and is accepted."""
    client = socket.create_connection(listener.getsockname())
    select.select([listener], [], [])
    listener.accept()[0].close()
    client.close()


def collector():
    return {
        "pid": os.getpid(),
        "enabled": gc.isenabled(),
        "thresholds": gc.get_threshold(),
        # Python 3.12 freezes a few hundred objects by itself.
        "frozen": gc.get_freeze_count() >= HEAP_SIZE,
        "frozen_objects": gc.get_freeze_count(),
        "debug": gc.get_debug(),
    }


def answer(source):
    try:
        code = compile(source, "<input>", "eval")
    except SyntaxError:
        exec(compile(source, "<input>", "exec"), globals())
        return None
    return eval(code, globals())


def main():
    global TALK
    TALK = talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anybody else prints is no answer
    for line in sys.stdin.buffer:
        value = answer(json.loads(line.decode()))
        talk.write(json.dumps(value, default=lambda other: None) + "\n")
        talk.flush()


if __name__ == "__main__":
    main()
