"""More kinds of nodes for oracle.py: containers, what cannot be changed, types, modules."""

import collections
import functools
import itertools
import operator
import types
import weakref

import oracle_kinds
from oracle_kinds import Identity, Kind, new_tag, tag_number

KEYS = itertools.count()


class ListNode(Identity, list):
    pass


class DequeNode(Identity, collections.deque):
    pass


class DictNode(Identity, dict):
    pass


class OrderedNode(Identity, collections.OrderedDict):
    pass


class DefaultNode(Identity, collections.defaultdict):
    pass


class UserNode(Identity, collections.UserList):
    pass


class SetNode(Identity, set):
    pass


class FrozenNode(Identity, frozenset):
    pass


class TupleNode(Identity, tuple):
    pass


class ViewedNode(bytearray):
    pass


class RefNode(Identity, weakref.ref):
    __slots__ = ("tag",)


class Permanent:
    pass


PERMANENT = Permanent()


class Sequence(Kind):
    def __init__(self, node):
        self.name, self.node = node.__name__.lower(), node

    def make(self, number, kids):
        node = self.node(kids)
        node.tag = new_tag(number)
        return node

    def kids(self, node):
        return list(node)

    def put(self, node, kid):
        node.append(kid)
        return True

    def cut(self, node, index):
        del node[index]
        return True


class Mapping(Sequence):
    def make(self, number, kids):
        node = self.node()
        node.tag = new_tag(number)
        for kid in kids:
            node[next(KEYS)] = kid
        return node

    def kids(self, node):
        return list(node.values())

    def put(self, node, kid):
        node[next(KEYS)] = kid
        return True

    def cut(self, node, index):
        del node[list(node)[index]]
        return True


def can_hash(kid):
    try:
        hash(kid)
    except (TypeError, ValueError):
        return False
    return True


class AsKeys(Kind):
    """What it holds are the keys; what cannot be one goes on a list beside them."""

    def __init__(self, node):
        self.name, self.node = node.__name__.lower() + "-keys", node

    def make(self, number, kids):
        keys = [kid for kid in kids if can_hash(kid)]
        node = self.node.fromkeys(keys) if issubclass(self.node, dict) else self.node(keys)
        node.tag = new_tag(number)
        node.others = [kid for kid in kids if not can_hash(kid)]
        return node

    def kids(self, node):
        return [*node, *node.others]

    def put(self, node, kid):
        if not can_hash(kid):
            node.others.append(kid)
        elif isinstance(node, dict):
            if kid in node:
                return False
            node[kid] = None
        elif isinstance(node, set):
            if kid in node:
                return False
            node.add(kid)
        else:
            return False
        return True

    def cut(self, node, index):
        if isinstance(node, frozenset):
            return False
        if index >= len(node):
            del node.others[index - len(node)]
        elif isinstance(node, dict):
            del node[list(node)[index]]
        else:
            node.remove(list(node)[index])
        return True


class BuiltInList(Kind):
    def make(self, number, kids):
        return [new_tag(number), *kids]

    def number(self, node):
        return tag_number(node[0])

    def kids(self, node):
        return node[1:]

    def put(self, node, kid):
        node.append(kid)
        return True

    def cut(self, node, index):
        del node[1 + index]
        return True


class BuiltInDict(Kind):
    def make(self, number, kids):
        node = {"tag": new_tag(number)}
        node.update((next(KEYS), kid) for kid in kids)
        return node

    def number(self, node):
        return tag_number(node["tag"])

    def kids(self, node):
        return list(node.values())[1:]

    def put(self, node, kid):
        node[next(KEYS)] = kid
        return True

    def cut(self, node, index):
        del node[list(node)[1 + index]]
        return True


# ---- what keeps a list somewhere ----


class Listed(Kind):
    """list_of(node) is the list with what it holds."""

    def list_of(self, node):
        return node.kids

    def kids(self, node):
        return list(self.list_of(node))

    def put(self, node, kid):
        self.list_of(node).append(kid)
        return True

    def cut(self, node, index):
        del self.list_of(node)[index]
        return True


class Module(Listed):
    def make(self, number, kids):
        node = types.ModuleType("oracle_module")
        node.tag, node.kids = new_tag(number), list(kids)
        return node


class Type(Listed):
    def make(self, number, kids):
        return type("TypeNode", (Permanent,), {"tag": new_tag(number), "list": list(kids)})

    def list_of(self, node):
        return vars(node)["list"]


class Instance(Listed):
    """Of a class of its own, which only it keeps."""

    def make(self, number, kids):
        node = type("InstanceNode", (Permanent,), {"list": list(kids)})()
        node.tag = new_tag(number)
        return node

    def list_of(self, node):
        return type(node).list


class View(Listed):
    def make(self, number, kids):
        viewed = ViewedNode(str(number).encode())
        viewed.tag, viewed.kids = new_tag(number), list(kids)
        return memoryview(viewed)

    def number(self, node):
        number = tag_number(node.obj.tag)
        if bytes(node) != str(number).encode():
            raise AssertionError("memoryview of node %d shows %r" % (number, bytes(node)))
        return number

    def list_of(self, node):
        return node.obj.kids


# ---- what cannot be changed ----


class Tuple(Kind):
    """The only node without a change after its creation that has an attribute: its tag."""

    def make(self, number, kids):
        node = TupleNode(kids)
        node.tag = new_tag(number)
        return node

    def kids(self, node):
        return list(node)


class BuiltInTuple(Kind):
    def make(self, number, kids):
        return (new_tag(number), *kids)

    def number(self, node):
        return tag_number(node[0])

    def kids(self, node):
        return list(node[1:])


class Partial(Kind):
    def make(self, number, kids):
        return functools.partial(operator.add, new_tag(number), *kids)

    def number(self, node):
        return tag_number(node.args[0])

    def kids(self, node):
        return list(node.args[1:])


class Method(Kind):
    """One for each thing held, and a function with the tag."""

    def make(self, number, kids):
        def node(self, tag=None):
            return tag

        node.__defaults__ = (new_tag(number),)
        return types.MethodType(node, tuple(kids))

    def number(self, node):
        return tag_number(node.__func__.__defaults__[0])

    def kids(self, node):
        return list(node.__self__)


def is_text(kid):
    """A property without a text has its getter's."""
    return kid is None or isinstance(kid, str)


class Property(Kind):
    def make(self, number, kids):
        places = (list(kids) + [None] * 3)[:3]
        return property(new_tag(number), *places)

    def number(self, node):
        return tag_number(node.fget)

    def kids(self, node):
        return [kid for kid in (node.fset, node.fdel, node.__doc__) if not is_text(kid)]


class Cached(Kind):
    def make(self, number, kids):
        values = list(kids)

        def produce(index):
            return values.pop(0)

        node = functools.lru_cache(maxsize=None)(produce)
        for index in range(len(values)):
            node(index)
        node.tag = new_tag(number)
        return node

    def kids(self, node):
        return [node(index) for index in range(node.cache_info().currsize)]


class Reference(Kind):
    """Holds by its callback; what it refers to stays."""

    def make(self, number, kids):
        node = RefNode(PERMANENT, functools.partial(operator.add, None, *kids))
        node.tag = new_tag(number)
        return node

    def kids(self, node):
        return list(node.__callback__.args[1:])


def all_kinds():
    """In a fixed order: random choices among them are a seed's."""
    k = oracle_kinds
    kinds = [k.Plain(), k.WithDict(), k.Slots(), k.Bare(), k.Namespace(), k.Error(), k.Closure()]
    finalized = (k.FinalizedNode, k.AllocatingNode, k.ReturningNode, k.RescuingNode)
    kinds += [k.WithFinalizer(node) for node in finalized]
    kinds += [
        k.Suspended(k.generator, send),
        k.Suspended(k.coroutine, send),
        k.Suspended(k.async_generator, k.send_async),
    ]
    if k.start_new_thread:
        kinds += [k.Frame(), k.Traceback()]
    if k.ctypes:
        kinds += [k.Struct(), k.Pointer()]
    kinds += [Sequence(node) for node in (ListNode, DequeNode, UserNode)]
    kinds += [Mapping(node) for node in (DictNode, OrderedNode, DefaultNode)]
    kinds += [AsKeys(node) for node in (DictNode, OrderedNode, SetNode, FrozenNode)]
    kinds += [BuiltInList(), BuiltInDict(), Module(), Type(), Instance(), View(), Tuple()]
    kinds += [BuiltInTuple(), Partial(), Method(), Property(), Cached(), Reference()]
    return kinds


def send(node, what):
    return node.send(what)
