"""Builds random graphs of objects, changes them at random, and knows what lives.

    oracle.py [--seed N] [--steps N | --seconds S] [--size N] [--drain HOW] [--break HOW]

Whatever collects garbage in this process is under test: what lives must stay as it is, what is
dead must be freed in time, and each finalizer and callback must run once. Prints a line "ok ..."
and ends with status 0, or tells what is wrong with which node after which step.
The same seed makes the same steps, but for what depends on when the collector runs.
"""

import argparse
import gc
import os
import select
import socket
import sys
import threading
import time
import traceback
import weakref

import oracle_kinds
from oracle_extras import extra_kinds
from oracle_kinds import FinalizedNode, PlainNode
from oracle_world import INSIDE, Failure, World, calls

try:
    import tracemalloc
except ImportError:
    tracemalloc = None

CYCLES = 3  # gc.collect() so often frees all: what one rescued, the next may find
ALLOCATIONS = 30000000  # without gc.collect(): containers, most of them garbage
CHECK_EVERY = 100  # steps


def cycles(number):
    """Garbage for the collector."""
    for _ in range(number):
        ring = [[]]
        ring[0].append(ring)


class Oracle(World):
    def __init__(self, options):
        super().__init__(extra_kinds())
        self.options, self.steps, self.step = options, 0, "start"
        self.survivors, self.used = [], {}
        self.traced = 0
        self.most_allocations = 0
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(1)
        oracle_kinds.HOOKS["allocate"] = lambda: cycles(100)
        self.drains = DRAINS[options.drain]
        self.names, self.weights = zip(*STEPS)

    def wait(self, seconds):
        select.select([self.socket], [], [], seconds)

    # ---- steps ----

    def one(self):
        self.steps += 1
        self.random.seed("%d %d" % (self.options.seed, self.steps))
        if not self.roots or len(self.model) < self.options.size // 2:
            self.step = "create"
        else:
            (self.step,) = self.random.choices(self.names, self.weights)
        self.used[self.step] = self.used.get(self.step, 0) + 1
        function = getattr(self, "do_" + self.step)
        if self.random.random() < 0.03:
            self.in_thread(function)
        else:
            function()
        self.settle()
        if self.traced and self.steps > self.traced:
            self.traced = 0
            tracemalloc.stop()

    def in_thread(self, function):
        errors = []

        def run():
            try:
                function()
            except Failure as error:
                errors.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise Failure(errors[0])

    def do_create(self):
        first = None
        for _ in range(self.random.randrange(1, 12)):
            kids = dict(self.walk() for _ in range(self.random.randrange(3)) if self.roots)
            if first is not None:
                kids[first[0]] = first[1]
            first = self.new(self.random.choice(self.kinds), list(kids.items()))
            if self.roots and self.random.random() < 0.7:
                self.put(self.walk(), first)
        self.roots[first[0]] = first[1]
        kids = first = None

    def put(self, holder, kid):
        entry = self.model[holder[0]]
        if entry.closed or not entry.kind.put(holder[1], kid[1]):
            return False
        entry.kids.append(kid[0])
        return True

    def cut(self, holder):
        """Takes away one of what it holds; which, as number and object."""
        number, node = holder
        kids = self.kids_of(number, node)
        if not kids:
            return None
        other = self.random.choice(sorted(self.model[number].kids))
        index = list(map(self.number_of, kids)).index(other)
        kid = kids[index]
        if not self.model[number].kind.cut(node, index):
            return None
        self.model[number].kids.remove(other)
        return other, kid

    def do_link(self):
        self.put(self.walk(), self.walk())

    def do_cycle(self):
        """Something that it reaches holds it from now on."""
        first = self.walk()
        self.put(self.walk_on(*first, 6), first)

    def do_unlink(self):
        self.cut(self.walk())

    def do_move(self):
        kid = self.cut(self.walk())
        if kid and not (self.roots and self.put(self.walk(), kid)):
            self.roots[kid[0]] = kid[1]

    def do_root(self):
        number, node = self.walk(20)
        self.roots[number] = node

    def do_drop(self):
        """More of them when there are many."""
        for _ in range(1 + max(0, len(self.model) - self.options.size) // 20):
            if self.roots:
                del self.roots[self.random.choice(sorted(self.roots))]

    def do_resurrect(self):
        self.settle()
        dead = sorted(self.dead() & set(self.refs))
        for _ in range(5):
            if not dead:
                return
            number = self.random.choice(dead)
            by_dictionary = self.random.random() < 0.5
            node = self.values.get(number) if by_dictionary else self.refs[number]()
            if node is None:
                continue
            self.settle()
            if self.number_of(node) != number:
                raise Failure("a weak reference to %s gave another" % self.name(number))
            self.returns(number, node, self.live())
            self.resurrected += 1
            if self.random.random() < 0.5:
                del self.roots[number]  # for a moment only
            return

    def do_find(self):
        """Through the collector's own lists, dead ones too."""
        self.settle()
        dead = self.dead()
        for node in gc.get_objects():
            if type(node) in (PlainNode, FinalizedNode) and self.random.random() < 0.3:
                number = self.number_of(node)
                if number in dead:
                    self.settle()
                    self.returns(number, node, self.live())
                    self.resurrected += 1
                    return

    def do_referrers(self):
        _, node = self.walk()
        gc.get_referrers(node)
        gc.get_referents(node)

    def do_watch_inside(self):
        holder, target = self.walk()[1], self.walk()
        if isinstance(holder, PlainNode):
            try:
                holder.inside = weakref.ref(target[1], calls(INSIDE, target[0]))
            except TypeError:
                return

    def do_burst(self):
        self.allocate(self.random.choice((500, 3000, 20000)))

    def allocate(self, number):
        """A part survives for a while."""
        cycles(number // 4)
        self.survivors.append([[index] for index in range(number // 2)])
        if len(self.survivors) > 6:
            del self.survivors[self.random.randrange(6)]

    def do_idle(self):
        for _ in range(self.random.randrange(1, 4)):
            self.wait(0.0025)

    def do_threads(self):
        threads = [threading.Thread(target=cycles, args=(2000,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.do_link()
        for thread in threads:
            thread.join()

    def do_collect(self):
        gc.collect(self.random.choice((0, 1, 2) if "collect" in self.drains else (0, 1)))

    def do_trace(self):
        if tracemalloc and not tracemalloc.is_tracing():
            tracemalloc.start(self.random.choice((1, 3)))
            self.traced = self.steps + 10

    # ---- what is dead must go ----

    def must_go(self, dead):
        """Of them, what is still there and has not come back to life."""
        self.settle()
        return dead & self.dead()

    def drain_by_collecting(self):
        dead = self.must_go(self.dead())
        for _ in range(CYCLES):
            gc.collect()
            self.settle()
        dead = self.must_go(dead)
        if dead:
            raise Failure("after %d gc.collect(): %s" % (CYCLES, self.describe(dead)))

    def drain_by_allocating(self):
        """The collector has to run by itself."""
        dead = self.must_go(self.dead())
        allocated = 0
        while dead:
            if allocated > ALLOCATIONS:
                what = self.describe(dead)
                raise Failure("after %d more allocations: %s" % (allocated, what))
            self.allocate(20000)
            allocated += 20000
            self.wait(0)
            dead = self.must_go(dead)
        self.most_allocations = max(self.most_allocations, allocated)

    def drain(self, way):
        self.step = "drain: " + way
        if way == "collect":
            self.drain_by_collecting()
        else:
            self.drain_by_allocating()

    def describe(self, dead):
        """Which of the dead are still there, and what holds one of them."""
        first = min(dead)
        text = "%d dead nodes are not freed, for example %s" % (len(dead), self.name(first))
        node = self.refs[first]() if first in self.refs else None
        if node is not None:
            held = [type(one).__name__ for one in gc.get_referrers(node)]
            text += ", tracked: %s, held by %s" % (gc.is_tracked(node), held)
        return text

    # ---- the whole ----

    def goes_on(self, begin):
        if self.options.seconds:
            return time.monotonic() - begin < self.options.seconds
        return self.steps < self.options.steps

    def run(self):
        begin = time.monotonic()
        for _ in range(3):
            self.wait(0.01)  # a server that waits: ready
        checks = 0
        while self.goes_on(begin):
            self.one()
            if self.steps == self.options.break_at:
                BREAKS[self.options.how](self)
            if self.steps % CHECK_EVERY == 0:
                self.step = "check"
                self.check()
                checks += 1
                if checks % 4 == 0:
                    self.drain(self.drains[checks // 4 % len(self.drains)])
        self.step = "end"
        self.check()
        while self.roots:  # finalizers rescue some, once
            self.roots.clear()
            for way in self.drains:
                self.drain(way)
        self.socket.close()
        return time.monotonic() - begin


DRAINS = {
    "both": ("allocate", "collect"),
    "collect": ("collect",),
    "allocate": ("allocate",),
}
STEPS = [
    ("create", 14),
    ("link", 20),
    ("cycle", 20),
    ("unlink", 16),
    ("move", 10),
    ("root", 6),
    ("drop", 12),
    ("resurrect", 6),
    ("find", 0.3),
    ("referrers", 0.3),
    ("watch_inside", 4),
    ("burst", 5),
    ("idle", 3),
    ("threads", 1),
    ("collect", 0.6),
    ("trace", 0.2),
]


# ---- what a wrong collector would do; to see that it is found ----


def break_lost(oracle):
    """A reference that lives is cleared."""
    node = oracle.new(oracle.kinds[0], [oracle.walk()])
    oracle.roots[node[0]] = node[1]
    node[1].a = None


def break_leaked(oracle):
    """Something that is dead is never freed."""
    node = oracle.new(oracle.kinds[0], [])[1]
    oracle.leaked = node


def break_freed(oracle):
    """An object is freed although it lives."""
    import ctypes

    number, node = oracle.new(oracle.kinds[2], [])
    oracle.roots[number] = node
    for _ in range(2):
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(node))


def break_finalized(oracle):
    """A finalizer runs twice."""
    (kind,) = (one for one in oracle.kinds if one.name == "finalizednode")
    oracle.new(kind, [])[1].__del__()


BREAKS = {
    "lost": break_lost,
    "leaked": break_leaked,
    "freed": break_freed,
    "finalized": break_finalized,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seconds", type=float, help="run so long, whatever --steps is")
    parser.add_argument("--size", type=int, default=1000, help="nodes, about")
    parser.add_argument(
        "--drain",
        choices=sorted(DRAINS),
        default="both",
        help="what has to free all that is dead: gc.collect(), or allocations and no full"
        " collection on purpose, which freezes what mode freeze does not look at any more",
    )
    parser.add_argument("--break", dest="how", choices=sorted(BREAKS), help="do something wrong")
    options = parser.parse_args()
    options.break_at = 150 if options.how else -1
    print("seed", options.seed, flush=True)
    oracle = Oracle(options)
    try:
        seconds = oracle.run()
    except Failure as failure:
        traceback.print_exc()
        where = (options.seed, oracle.steps, oracle.step)
        print("FAILED: seed %d, step %d (%s): %s" % (*where, failure), flush=True)
        return 1
    rate = oracle.steps / seconds
    numbers = (oracle.steps, rate, oracle.freed, oracle.rescued, oracle.resurrected)
    print("ok: %d steps, %.0f a second; %d freed, %d rescued, %d resurrected" % numbers)
    print("at most %d allocations until all was freed" % oracle.most_allocations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
