"""Kinds of nodes for oracle.py from packages that are not pure Python, if installed."""

from oracle_containers import Listed
from oracle_kinds import new_tag, tag_number


def optional(name):
    try:
        return __import__(name, fromlist=["x"])
    except ImportError:
        return None


greenlet = optional("greenlet")
numpy = optional("numpy")
etree = optional("lxml.etree")
pydantic = optional("pydantic")


def extra_kinds():
    kinds = []
    if greenlet:
        kinds += [Greenlet(), NewGreenlet()]
    if numpy:
        kinds.append(Array())
    if etree:
        kinds.append(Element())
    if pydantic:
        kinds.append(Model())
    return kinds


class Greenlet(Listed):
    """One that has ended: while it is suspended, no collector sees what its stack holds."""

    def make(self, number, kids):
        node = greenlet.greenlet(int)
        node.switch()
        node.tag, node.kids = new_tag(number), list(kids)
        return node


class NewGreenlet(Listed):
    def make(self, number, kids):
        values = list(kids)
        node = greenlet.greenlet(lambda: values)
        node.tag, node.kids = new_tag(number), values
        return node


if numpy:

    class ArrayNode(numpy.ndarray):
        """What is in an array of objects no collector sees, so no node is."""

        __hash__ = object.__hash__


class Array(Listed):
    def make(self, number, kids):
        node = numpy.empty(3, dtype=object).view(ArrayNode)
        node[0] = node[1] = [number]
        node.tag, node.kids = new_tag(number), list(kids)
        return node

    def list_of(self, node):
        if node[0] != [tag_number(node.tag)]:
            raise AssertionError("array %d has %r" % (tag_number(node.tag), node[0]))
        return node.kids


class ElementNode:
    def __init__(self, number, kids):
        self.tag, self.kids = new_tag(number), kids
        self.tree = etree.fromstring("<a><b>%d</b><c/></a>" % number)
        self.inner = self.tree[0]
        self.found = self.tree.xpath("b")


class Element(Listed):
    def make(self, number, kids):
        return ElementNode(number, list(kids))

    def list_of(self, node):
        if node.inner.getparent() is not node.tree or node.inner.text != str(tag_number(node.tag)):
            raise AssertionError("element %d has changed" % tag_number(node.tag))
        return node.kids


if pydantic:

    class ModelNode(pydantic.BaseModel):
        number: int = 0
        kids: list = []

        def __hash__(self):
            return id(self)

        def __eq__(self, other):
            return self is other


class Model(Listed):
    """pydantic-core is Rust, by PyO3."""

    def make(self, number, kids):
        node = ModelNode(number=number)
        node.__dict__["tag"] = new_tag(number)
        node.kids = list(kids)
        return node

    def number(self, node):
        return tag_number(vars(node)["tag"])
