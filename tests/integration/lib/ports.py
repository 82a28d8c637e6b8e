"""Port numbers that are known before anybody listens there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def reserve() -> socket.socket:
    """Bound to a free port of 127.0.0.1: until it is closed the kernel gives that to nobody else.

    Connections are refused, until somebody listens who has set SO_REUSEADDR, as servers do.
    """
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    return one


@contextmanager
def reserved_port() -> Iterator[int]:
    """In the block it is nobody else's."""
    with reserve() as one:
        yield one.getsockname()[1]
