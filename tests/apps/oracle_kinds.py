"""The kinds of objects of which oracle.py builds its graphs.

Each node holds a tag, which tells when what the node holds is gone: a code object, because the
collector does not know these, and weak references to them call back. So a tag's end is the end
of the last reference to it; what the collector knows it finalizes, and tells of its end, while
it may still be rescued.
"""

import sys
import types
import weakref

try:
    import ctypes
except ImportError:
    ctypes = None

try:
    from _thread import allocate_lock, start_new_thread
except ImportError:
    start_new_thread = None

# What happened: numbers of nodes. Written by finalizers, at any time and in any thread, so no
# object that the collector knows is made for it.
FREED, FINALIZED, CLOSED = [], [], []
RESCUED = []  # objects that a finalizer stored
HOOKS = {"allocate": None}  # called by some finalizers


TAGS = {}  # weak references to tags by their number


class TagReference(weakref.ref):
    __slots__ = ("number",)


def tag_is_gone(reference):
    FREED.append(reference.number)


def new_tag(number):
    tag = compile(str(number), str(number), "eval")  # no two of them are equal
    TAGS[number] = reference = TagReference(tag, tag_is_gone)
    reference.number = number
    return tag


def tag_number(tag):
    return int(tag.co_filename)


class Identity:
    """As keys and in sets, nodes are themselves, whatever they hold."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def __ne__(self, other):
        return self is not other


class Kind:
    fragile = False  # its finalizer lets go of what it holds, also if something else rescues it
    finalizer = None  # the list that it writes to

    def __init__(self):
        self.name = type(self).__name__.lower()

    def make(self, number, kids):
        raise NotImplementedError

    def number(self, node):
        return tag_number(node.tag)

    def kids(self, node):
        raise NotImplementedError

    def put(self, node, kid):
        """False where it cannot."""
        return False

    def cut(self, node, index):
        return False


# ---- nodes with three places ----


class Places(Kind):
    """None is an empty place."""

    def get(self, node):
        return [node.a, node.b, node.c]

    def set(self, node, index, kid):
        setattr(node, "abc"[index], kid)

    def build(self, number, a, b, c):
        raise NotImplementedError

    def make(self, number, kids):
        places = (list(kids) + [None] * 3)[:3]
        return self.build(number, *places)

    def kids(self, node):
        return [kid for kid in self.get(node) if kid is not None]

    def put(self, node, kid):
        for index, old in enumerate(self.get(node)):
            if old is None:
                self.set(node, index, kid)
                return True
        return False

    def cut(self, node, index):
        full = [i for i, kid in enumerate(self.get(node)) if kid is not None]
        self.set(node, full[index], None)
        return True


class PlainNode:
    def __init__(self, number, a, b, c):
        self.tag = new_tag(number)
        self.a, self.b, self.c = a, b, c


class SlotsNode:
    __slots__ = ("__weakref__", "a", "b", "c", "tag")
    __init__ = PlainNode.__init__


class BareNode:
    __slots__ = ("a", "b", "c", "tag")
    __init__ = PlainNode.__init__


class Plain(Places):
    def build(self, *fields):
        return PlainNode(*fields)


class WithDict(Places):
    def build(self, *fields):
        node = PlainNode(*fields)
        vars(node)["more"] = (1, 2)  # its dictionary is an object of its own
        return node


class Slots(Places):
    def build(self, *fields):
        return SlotsNode(*fields)


class Bare(Places):
    def build(self, *fields):
        return BareNode(*fields)


class Namespace(Places):
    def build(self, number, a, b, c):
        return types.SimpleNamespace(tag=new_tag(number), a=a, b=b, c=c)


class ErrorNode(Exception):
    pass


class Error(Places):
    def build(self, number, a, b, c):
        node = ErrorNode()
        node.tag, node.a, node.b, node.c = new_tag(number), a, b, c
        return node


class Closure(Places):
    @staticmethod
    def build(number, a, b, c):
        tag = new_tag(number)

        def node():
            return a, b, c, tag

        return node

    def number(self, node):
        return tag_number(node.__closure__[3].cell_contents)

    def get(self, node):
        return [cell.cell_contents for cell in node.__closure__[:3]]

    def set(self, node, index, kid):
        node.__closure__[index].cell_contents = kid


if ctypes:
    EMPTY = object()  # ctypes keeps what was there before when it is replaced by None

    class StructNode(ctypes.Structure):
        _fields_ = [("a", ctypes.py_object), ("b", ctypes.py_object), ("c", ctypes.py_object)]

        def __setattr__(self, name, value):
            if name != "tag":
                value = ctypes.py_object(EMPTY if value is None else value)
            ctypes.Structure.__setattr__(self, name, value)

        def __getattribute__(self, name):
            value = ctypes.Structure.__getattribute__(self, name)
            return None if value is EMPTY else value

    class Struct(Places):
        def build(self, number, a, b, c):
            node = StructNode()
            node.tag = new_tag(number)
            node.a, node.b, node.c = a, b, c
            return node

    class PointerNode(ctypes.POINTER(StructNode)):
        _type_ = StructNode

    class Pointer(Places):
        def build(self, number, a, b, c):
            inner = StructNode()
            inner.a, inner.b, inner.c = a, b, c
            node = PointerNode(inner)
            node.tag = new_tag(number)
            return node

        def get(self, node):
            inner = node.contents
            return [inner.a, inner.b, inner.c]

        def set(self, node, index, kid):
            # Through `contents` the new object would be kept by what is returned, not by us.
            places = self.get(node)
            places[index] = kid
            inner = StructNode()
            inner.a, inner.b, inner.c = places
            node.contents = inner


# ---- finalizers ----


class FinalizedNode(PlainNode):
    def __del__(self):
        FINALIZED.append(tag_number(self.tag))


class AllocatingNode(PlainNode):
    def __del__(self):
        FINALIZED.append(tag_number(self.tag))
        if HOOKS["allocate"]:
            HOOKS["allocate"]()


class ReturningNode(PlainNode):
    def __del__(self):
        FINALIZED.append(tag_number(self.tag))
        RESCUED.append(self)


class RescuingNode(PlainNode):
    def __del__(self):
        FINALIZED.append(tag_number(self.tag))
        for kid in (self.a, self.b, self.c):
            if kid is not None:
                RESCUED.append(kid)
                break


class ReturningList(Identity, list):
    def __del__(self):
        FINALIZED.append(tag_number(self.tag))
        RESCUED.append(self)


class WithFinalizer(Places):
    finalizer = FINALIZED

    def __init__(self, node):
        self.name, self.build = node.__name__.lower(), node


# ---- suspended frames ----


def generator(number, a, b, c):
    tag, places = new_tag(number), {0: a, 1: b, 2: c}
    a = b = c = None
    try:
        for _ in [places]:  # one reference more, on the frame's stack
            index = kid = None
            while True:
                sent = yield (tag_number(tag), places[0], places[1], places[2])
                if sent is not None:
                    index, kid = sent
                    sent = None
                    places[index] = kid
                    index = kid = None
    finally:
        CLOSED.append(number)


@types.coroutine
def ask(values):
    return (yield values.pop())


async def coroutine(number, a, b, c):
    tag = new_tag(number)
    kid = sent = None
    try:
        while True:
            sent = await ask([(tag_number(tag), a, b, c)])
            if sent is not None:
                index, kid = sent
                if index == 0:
                    a = kid
                elif index == 1:
                    b = kid
                else:
                    c = kid
                kid = sent = None
    finally:
        CLOSED.append(number)


async def async_generator(number, a, b, c):
    tag = new_tag(number)
    kid = sent = None
    try:
        while True:
            sent = yield (tag_number(tag), a, b, c)
            if sent is not None:
                index, kid = sent
                a, b, c = [kid if i == index else old for i, old in enumerate((a, b, c))]
                kid = sent = None
    finally:
        CLOSED.append(number)


def send_async(node, what):
    try:
        node.asend(what).send(None)
    except StopIteration as stopped:
        return stopped.value
    raise AssertionError("an asynchronous generator waits")


class Suspended(Places):
    """Its number is also its name: a closed one has no place for a tag any more."""

    fragile, finalizer = True, CLOSED

    def __init__(self, function, send):
        self.name, self.function, self.send = function.__name__, function, send

    def build(self, number, a, b, c):
        node = self.function(number, a, b, c)
        node.__name__ = "node %d" % number
        self.send(node, None)
        return node

    def number(self, node):
        return int(node.__name__.split()[1])

    def held(self, node):
        """The tag's number."""
        return self.send(node, None)[0]

    def get(self, node):
        return list(self.send(node, None)[1:])

    def set(self, node, index, kid):
        self.send(node, (index, kid))


# ---- frames that have ended; made in a thread, so that no frame of ours is held by f_back ----


def keep_frame(result, tag, a, b, c):
    result.append(sys._getframe())


def keep_traceback(result, tag, a, b, c):
    try:
        raise RaisedNode
    except RaisedNode as error:
        error.tag = tag
        result.append(error)


class Frame(Places):
    def build(self, number, a, b, c):
        return self.alone(keep_frame, number, a, b, c)

    @staticmethod
    def alone(function, number, a, b, c):
        result, done = [], allocate_lock()
        done.acquire()
        start_new_thread(thread_main, (function, result, done, [new_tag(number), a, b, c]))
        a = b = c = None
        done.acquire()
        return result.pop()

    def number(self, node):
        return tag_number(node.f_locals["tag"])

    def get(self, node):
        return [node.f_locals[name] for name in "abc"]

    def put(self, node, kid):
        return False

    def cut(self, node, index):
        return False


def thread_main(function, result, done, arguments):
    """Its frame stays, by f_back, so nothing of the node's may stay in it."""
    try:
        function(result, *take(arguments))
    finally:
        done.release()


def take(arguments):
    taken = tuple(arguments)
    del arguments[:]
    return taken


class RaisedNode(Exception):
    pass


class Traceback(Frame):
    def build(self, number, a, b, c):
        return self.alone(keep_traceback, number, a, b, c)

    number = Kind.number

    def get(self, node):
        frame = node.__traceback__.tb_frame
        return [frame.f_locals[name] for name in "abc"]
