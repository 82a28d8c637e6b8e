"""A server that believes what its waits say. Arguments: the kind of wait; how many clients come.

Says its port, then what each wait came back with: "client", or what it should not have been.
Between two clients it leaves garbage, so that there is something to collect while it waits.
"""

import gc
import select
import selectors
import socket
import sys
import time

HEAP = [[number] for number in range(20000)]
LONG = 600  # seconds; nobody waits for it to pass

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
one, other = socket.socketpair()


def selects(*sockets):
    return lambda: select.select(sockets, [], [], LONG)[0]


def polls(*sockets):
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    return lambda: poll.poll(LONG * 1000)


def epolls(*timeout):
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    return lambda: epoll.poll(*timeout)


def accepts(timeout):
    def wait():
        listener.settimeout(timeout)
        return listener.accept()

    return wait


def selector():
    """As who knows that a wait without an end finds something."""
    chosen = selectors.DefaultSelector()
    chosen.register(listener, selectors.EVENT_READ)

    def wait():
        (first, _), *_ = chosen.select()
        return first.fileobj is listener

    return wait


KINDS = {
    "select": lambda: selects(listener),
    "select of two": lambda: selects(one, listener),
    "poll": lambda: polls(listener),
    "poll of two": lambda: polls(one, listener),
    "epoll": lambda: epolls(LONG),
    "epoll for ever": epolls,
    "accept": lambda: accepts(None),
    "accept with a time-out": lambda: accepts(LONG),
    "selector": selector,
}


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def found(wait):
    try:
        ready = wait()
    except Exception as error:
        return repr(error)
    if not ready:
        return "nothing"
    if not isinstance(ready, tuple):
        ready = listener.accept()
    ready[0].close()
    return "client"


def main():
    kind, clients = sys.argv[1:]
    print(listener.getsockname()[1], flush=True)
    wait = KINDS[kind]()
    for _ in range(int(clients)):
        print(found(wait), flush=True)
        garbage()
        time.sleep(0.02)  # a wait is looked at again
    assert gc.get_freeze_count() >= len(HEAP)
    other.close()


main()
