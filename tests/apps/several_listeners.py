"""A server that leaves garbage and waits, for ever. Its argument says what comes before:

none            nothing: asyncio's server
second          its first waits, and a second listener for a moment
accept first    an accept that does not block and finds nothing, then epoll
add first       the socket is in the epoll set before it listens

or what changes when it is ready:

closed          of two listeners that it selects the first is closed
closed in set   the same in an epoll set
taken out       the same, but that it is taken out of the set, and still listens
another set     its listener is added to a second set, and the first is closed
many            ten listeners more in its set, for a moment
"""

import asyncio
import contextlib
import gc
import select
import socket
import sys

HEAP = [[number] for number in range(20000)]
FROZEN = gc.get_freeze_count()


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def bound():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.setblocking(False)
    return one


def listening():
    one = bound()
    one.listen(5)
    return one


def serves():
    print("serves", flush=True)


def hello(reader, writer):
    writer.close()


async def loop(what):
    first = await asyncio.start_server(hello, "127.0.0.1", 0)
    if what == "second":
        await asyncio.sleep(0.02)
        second = await asyncio.start_server(hello, "127.0.0.1", 0)
        await asyncio.sleep(0.02)
        second.close()
        await second.wait_closed()
    serves()
    while first.sockets:
        garbage()
        await asyncio.sleep(0.02)


def for_ever(wait):
    serves()
    while True:
        garbage()
        wait()


def epoll(what):
    one = bound()
    wait = select.epoll()
    if what == "accept first":
        one.listen(5)
        with contextlib.suppress(BlockingIOError):
            one.accept()
    wait.register(one, select.EPOLLIN)
    if what == "add first":
        one.listen(5)
    for_ever(lambda: wait.poll(0.02))


def until_ready(wait):
    while gc.get_freeze_count() < FROZEN + len(HEAP):
        wait()


def selects():
    first, second = listening(), listening()
    until_ready(lambda: select.select([first, second], [], [], 0.02))
    first.close()
    for_ever(lambda: select.select([second], [], [], 0.02))


def in_set(*listeners):
    wait = select.epoll()
    for one in listeners:
        wait.register(one, select.EPOLLIN)
    return wait


def changes(what):
    first, second = listening(), listening()
    wait = in_set(first) if what in ("another set", "many") else in_set(first, second)
    until_ready(lambda: wait.poll(0.02))
    if what == "closed in set":
        first.close()
    elif what == "taken out":
        wait.unregister(first)
    elif what == "another set":
        other = in_set(first)
        wait.close()
        wait = other
    elif what == "many":
        more = [listening() for _ in range(10)]
        for one in more:
            wait.register(one, select.EPOLLIN)
        wait.poll(0.02)
        for one in more:
            one.close()
    for_ever(lambda: wait.poll(0.02))


if sys.argv[1] in ("none", "second"):
    asyncio.run(loop(sys.argv[1]))
elif sys.argv[1] in ("accept first", "add first"):
    epoll(sys.argv[1])
elif sys.argv[1] == "closed":
    selects()
else:
    changes(sys.argv[1])
