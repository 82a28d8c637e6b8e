"""Sessions whose objects refer to each other, as trees with parents do: each request builds one of
about 5 200 objects, the last 100 are kept, and what was dropped is garbage that only a collection
frees."""

import collections

import common

KEPT = 100
ORDERS, LINES = 40, 64
SESSIONS = collections.deque(maxlen=KEPT)


class Node:
    __slots__ = ("children", "number", "parent")

    def __init__(self, parent, number):
        self.parent = parent
        self.number = number
        self.children = []


def session():
    """2 objects a node: (1 + 64) * 40 * 2, and the root."""
    root = Node(None, 0)
    for order_number in range(ORDERS):
        order = Node(root, order_number)
        order.children = [Node(order, number) for number in range(LINES)]
        root.children.append(order)
    return root


def text(root):
    return "\n".join(
        f"{line.parent.number}/{line.number}: {common.WORDS[line.number % len(common.WORDS)]}"
        for order in root.children
        for line in order.children
    )


def work():
    root = session()
    SESSIONS.append(root)
    return f"{len(SESSIONS)} sessions, {len(text(root))} characters\n"


app, asgi = common.served(work)
common.heap()
common.tune()
