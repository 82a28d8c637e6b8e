"""A server that leaves garbage and waits, for ever. Its argument says what comes before:

none            nothing: asyncio's server
second          its first waits, and a second listener for a moment
accept first    an accept that does not block and finds nothing, then epoll
add first       the socket is in the epoll set before it listens
"""

import asyncio
import contextlib
import select
import socket
import sys


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def bound():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.setblocking(False)
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
    serves()
    while True:
        garbage()
        wait.poll(0.02)


if sys.argv[1] in ("none", "second"):
    asyncio.run(loop(sys.argv[1]))
else:
    epoll(sys.argv[1])
