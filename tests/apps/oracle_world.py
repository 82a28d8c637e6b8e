"""The graph of oracle.py, and the model of it: numbers, and nothing that refers to an object."""

import random
import weakref

import oracle_kinds
from oracle_containers import all_kinds, can_hash
from oracle_kinds import CLOSED, FINALIZED, FREED, RESCUED, TAGS, Kind, new_tag, tag_number

CALLED = []  # numbers of nodes whose weak references called back; one for each callback
INSIDE = []  # the same, of references that a node holds: they may go with it, unheard


class Failure(Exception):
    pass


class Entry:
    """What the model knows of a node."""

    __slots__ = ("called", "closed", "doubt", "finalized", "kids", "kind", "owner", "watches")

    def __init__(self, kind, kids, owner=None):
        self.kind, self.kids, self.owner = kind, kids, owner
        # doubt: was unreachable once, so a collector may have finalized it and told of its end.
        self.doubt = False
        self.watches = self.called = self.finalized = self.closed = 0


class World:
    def __init__(self, kinds=()):
        self.kinds = [*all_kinds(), *kinds]
        self.random = random.Random()
        self.model = {}
        self.roots = {}
        self.next = 1
        self.freed = self.rescued = self.resurrected = 0
        self.refs, self.watch = {}, {}
        self.values = weakref.WeakValueDictionary()
        self.keys = weakref.WeakKeyDictionary()
        self.numbers = {}
        for kind in self.kinds:
            sample = kind.make(0, [])
            if type(kind).number is not Kind.number:
                self.numbers[type(sample)] = kind.number
        sample = None
        for events in (RESCUED, FREED, FINALIZED, CLOSED):
            del events[:]

    # ---- of real objects ----

    def number_of(self, node):
        number = self.numbers.get(type(node))
        try:
            return number(node) if number else tag_number(node.tag)
        except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
            what = "a %s has lost its tag: %r" % (type(node).__name__, error)
        raise Failure(what)

    def kids_of(self, number, node):
        """What a node holds, compared with the model."""
        entry = self.model[number]
        if entry.closed:
            return []
        if entry.kind.fragile and entry.kind.held(node) != number:
            raise Failure("%s holds another's tag" % self.name(number))
        kids = entry.kind.kids(node)
        found = sorted(map(self.number_of, kids))
        if found != sorted(entry.kids):
            kids = None
            wanted = sorted(entry.kids)
            raise Failure("%s holds %s instead of %s" % (self.name(number), found, wanted))
        return kids

    def walk(self, steps=8):
        """A random node that lives, found through what is real."""
        number = self.random.choice(sorted(self.roots))
        return self.walk_on(number, self.roots[number], steps)

    def walk_on(self, number, node, steps):
        for _ in range(self.random.randrange(steps)):
            kids = self.kids_of(number, node)
            if not kids:
                break
            # Sets have an order that no seed decides.
            node = self.random.choice(sorted(kids, key=self.number_of))
            number = self.number_of(node)
        return number, node

    def name(self, number):
        entry = self.model.get(number)
        if entry is None:
            return "node %d (unknown or freed)" % number
        if entry.owner is not None:
            return "leaf %d of %s" % (number, self.name(entry.owner))
        doubt = ", was unreachable once" if entry.doubt else ""
        return "node %d (%s%s)" % (number, entry.kind.name, doubt)

    # ---- the model ----

    def path(self, number):
        """How the model says that it is reached."""
        found = dict.fromkeys(self.roots)
        todo = list(found)
        while todo and number not in found:
            one = todo.pop(0)
            for kid in self.model[one].kids:
                if kid not in found:
                    found[kid] = one
                    todo.append(kid)
        names = []
        while number is not None:
            names.append(self.name(number))
            number = found.get(number)
        return " <- ".join(names)

    def live(self):
        seen = set(self.roots)
        todo = list(seen)
        while todo:
            for kid in self.model[todo.pop()].kids:
                if kid not in seen:
                    seen.add(kid)
                    todo.append(kid)
        return seen

    def dead(self):
        """What must be freed sooner or later."""
        live = self.live()
        return {
            number
            for number, entry in self.model.items()
            if number not in live
            and not (entry.closed and number not in self.refs)
            and (entry.owner is None or entry.owner not in live)
        }

    def returns(self, number, node, live):
        """What was unreachable is a root from now on, and all that it reaches with it."""
        for other, entry in self.model.items():
            if other not in live:
                entry.doubt = True
        self.roots[number] = node

    def new(self, kind, kids):
        """kids: pairs of number and object."""
        number, self.next = self.next, self.next + 1
        node = kind.make(number, [kid for _, kid in kids])
        self.model[number] = entry = Entry(kind, [other for other, _ in kids])
        try:
            self.refs[number] = weakref.ref(node)
        except TypeError:
            return number, node
        for _ in range(self.random.choice((0, 0, 1, 2))):
            self.watch.setdefault(number, []).append(weakref.ref(node, calls(CALLED, number)))
            entry.watches += 1
        if self.random.random() < 0.3:
            self.values[number] = node
        if self.random.random() < 0.2 and can_hash(node):
            self.keys[node] = self.leaf(number)
        if self.random.random() < 0.2:
            weakref.finalize(node, CALLED.append, number).atexit = False
            entry.watches += 1
        if self.random.random() < 0.1:
            weakref.finalize(node, id, self.leaf(number)).atexit = False
        return number, node

    def leaf(self, owner):
        number, self.next = self.next, self.next + 1
        self.model[number] = Entry(None, [], owner)
        return new_tag(number)

    # ---- what finalizers and callbacks told ----

    def settle(self):
        if not (FREED or FINALIZED or CLOSED or CALLED or INSIDE or RESCUED):
            return
        live = self.live()
        freed = taken(FREED)
        self.hear(live, "finalized", FINALIZED)
        self.hear(live, "closed", CLOSED)
        self.hear(live, "called", CALLED)
        for number in taken(INSIDE):
            self.must_be_dead(live, number, "called back (a reference inside the graph)")
        for number in freed:
            self.must_be_dead(live, number, "freed")
        while RESCUED:
            node = RESCUED.pop()
            self.rescued += 1
            self.returns(self.number_of(node), node, live)
            node = None
        live = self.live()
        for number in freed:
            self.forget(number, live)

    def hear(self, live, what, events):
        for number in taken(events):
            self.must_be_dead(live, number, what)
            entry = self.model[number]
            count = getattr(entry, what) + 1
            setattr(entry, what, count)
            if count > (entry.watches if what == "called" else 1):
                raise Failure("%s was %s %d times" % (self.name(number), what, count))
            if what == "closed":
                entry.kids = []

    def must_be_dead(self, live, number, what):
        entry = self.model.get(number)
        if entry is None:
            raise Failure("node %d was %s after it was freed" % (number, what))
        holder = number if entry.owner is None else entry.owner
        if holder in live and not self.model[holder].doubt:  # what is live is in the model
            raise Failure("%s, and lives: %s" % (what, self.path(holder)))

    def forget(self, number, live):
        entry = self.model[number]
        del TAGS[number]
        self.freed += 1
        if entry.owner is not None:
            del self.model[number]
            return
        self.refs.pop(number, None)
        if entry.closed and entry.doubt:
            return  # its generator may be rescued all the same, or is held by one that was
        if number in live:
            raise Failure("freed, and lives: %s" % self.path(number))
        if entry.kind.finalizer and entry.finalized + entry.closed != 1:
            raise Failure("%s was freed and not finalized" % self.name(number))
        if entry.called != entry.watches:
            numbers = (self.name(number), entry.called, entry.watches)
            raise Failure("%s was freed after %d of %d callbacks" % numbers)
        if number in self.values:
            raise Failure("%s was freed and is in a WeakValueDictionary" % self.name(number))
        self.watch.pop(number, None)
        del self.model[number]

    # ---- the check ----

    def check(self):
        """All that lives is as the model says."""
        self.settle()
        todo, seen = list(self.roots.items()), set(self.roots)
        while todo:
            number, node = todo.pop()
            if self.number_of(node) != number:
                raise Failure("%s became node %d" % (self.name(number), self.number_of(node)))
            for kid in self.kids_of(number, node):
                other = self.number_of(kid)
                if other not in seen:
                    seen.add(other)
                    todo.append((other, kid))
        for number in seen:
            entry = self.model[number]
            ref = self.refs.get(number)
            if ref and not entry.doubt and ref() is None:
                raise Failure("%s lives, and a weak reference to it is dead" % self.name(number))
        return seen


def calls(events, number):
    def call(_):
        events.append(number)

    return call


def taken(events):
    numbers = []
    while events:
        numbers.append(events.pop())
    return [number for number in numbers if number]  # 0: the samples


oracle_kinds.HOOKS["allocate"] = lambda: [[] for _ in range(200)] and None
