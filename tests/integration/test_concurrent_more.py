"""Mode concurrent beside a program that calls dying objects back, without a wait or a listener's
event loop: one listening socket makes it ready."""

from __future__ import annotations

from pathlib import Path

from lib.run import environment, run
from venvs import Interpreter

# What a mark has found may be called back by its weak reference, dropped, and its memory used
# again, before it is swept. No gc.collect(), so all that goes is found by marks, or young.
CALLED_BACK = """
import gc, random, select, socket, sys, time, weakref

random.seed(1)
finalized = {}

class Node:
    def __init__(self, name, number):
        self.name, self.number, self.check = name, number, (name, number)

class Session(Node):
    def __del__(self):
        finalized[self.name] = finalized.get(self.name, 0) + 1

def session(name):
    first = Session(name, 0)
    nodes = [first] + [Node(name, i) for i in range(1, 200)]
    for one, other in zip(nodes, nodes[1:] + nodes[:1]):
        one.next, other.before = other, one
    first.tail = [Node(name, i) for i in range(50)]
    for one in first.tail:
        one.of = first
    return first

def check(first):
    node, n = first, 0
    while True:
        assert node.check == (first.name, node.number) == (node.name, n), "something else"
        assert node.next.before is node
        node, n = node.next, n + 1
        if node is first:
            break
    assert n == 200, n

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
select.select([listener], [], [], 0)

known = weakref.WeakValueDictionary()
kept, deadline, name = [], time.monotonic() + 100, 0
while len(finalized) < 2000 and time.monotonic() < deadline:
    known[name] = one = session(name)
    kept.append(one)
    if len(kept) > 50:
        kept.pop(random.randrange(50))
    back = known.get(random.randrange(max(0, name - 300), name + 1))
    if back is not None:
        check(back)
        if random.random() < 0.5:
            back.tail = None  # that dies by reference count, and its memory is used again
    name += 1
for one in kept:
    check(one)
    assert one.name not in finalized
assert len(finalized) >= 2000, "nothing was freed"
assert set(finalized.values()) == {1}, "finalized twice"
print("whole", gc.get_freeze_count() > 0)
"""


def test_what_is_called_back_stays_whole(python: Interpreter, ring_dir: Path) -> None:
    env = environment(
        ring_dir,
        GCPRELOAD_MODE="concurrent",
        GCPRELOAD_GROWTH="0",
        GCPRELOAD_LOG="debug",
    )
    done = run([python.path, "-c", CALLED_BACK], env, deadline=150)
    said = done.stderr.decode()
    assert done.returncode == 0, said[-2000:]
    if "not concurrent: " in said:  # not on this one, and it says why
        assert b"whole" in done.stdout
        return
    assert done.stdout == b"whole True\n", said[-2000:]
    assert "mark: fork" in said, said[-2000:]
