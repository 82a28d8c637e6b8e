"""A server whose waits come in a known order, in mode idle. Prints in how many rounds something
was collected in a wait of the server's; each round has enough garbage for it.

others KIND OTHER   just before the wait another one, for a socket that is no listener
accepted KIND       the same after a server that was seen to accept before it waited
soon LOOP           a client is there at the first wait, and the next comes at once
deferred LOOP       the waits after a readiness that the loop was given as a task
pending KIND        a client is there at each wait (nothing is collected)

KIND and OTHER: select, poll, epoll, socket (one with a time-out). LOOP: a KIND, asyncio, uvloop,
gevent.
"""

import asyncio
import gc
import json
import select
import socket
import sys
import time

ROUNDS = 20
PENDING = 300
HEAP = [[number] for number in range(20000)]
FROZEN = gc.get_freeze_count()


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def collections():
    return sum(part["collections"] for part in gc.get_stats())


def is_ready():
    return gc.get_freeze_count() >= FROZEN + len(HEAP)


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    return listener


def connect(listener):
    return socket.create_connection(listener.getsockname())


def waits(kind, one):
    """A function that waits for it, so many milliseconds at most."""
    if kind == "select":
        return lambda ms: select.select([one], [], [], ms / 1000)
    if kind == "socket":

        def receive(ms):
            one.settimeout(ms / 1000)
            one.recv(1, socket.MSG_PEEK)

        return receive
    poll = select.poll() if kind == "poll" else select.epoll()
    poll.register(one, select.POLLIN)
    return lambda ms: poll.poll(ms / (1 if kind == "poll" else 1000))


def counted(wait):
    before = collections()
    wait()
    return int(collections() > before)


def one_that_is_full():
    one, full = socket.socketpair()
    full.send(b"x")
    return one, full


def alternate(serve, elsewhere):
    def one_round():
        garbage()
        time.sleep(0.02)  # it may look again
        elsewhere(1000)
        return counted(lambda: serve(1))

    return sum(one_round() for _ in range(ROUNDS))


def others(kind, other):
    listener = listen()
    one, full = one_that_is_full()
    serve, elsewhere = waits(kind, listener), waits(other, one)
    serve(1)
    assert is_ready()
    return alternate(serve, elsewhere)


def accepted(kind):
    listener = listen()
    one, full = one_that_is_full()
    listener.setblocking(False)
    client = connect(listener)
    listener.accept()[0].close()
    client.close()
    assert is_ready()
    return alternate(waits(kind, listener), waits("poll", one))


def soon(kind):
    if kind in LOOPS:
        return asyncio.run(soon_in_a_loop(kind))
    listener = listen()
    serve = waits(kind, listener)
    serve(1)
    assert is_ready()

    def one_round():
        garbage()
        client = connect(listener)
        serve(1000)
        listener.accept()[0].close()
        client.close()
        return counted(lambda: serve(30))

    return sum(one_round() for _ in range(ROUNDS))


async def soon_in_a_loop(kind):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    while not is_ready():
        await asyncio.sleep(0.01)
    listener = server.sockets[0]
    found = 0
    for _ in range(ROUNDS):
        garbage()
        client = connect(listener)
        before = collections()
        await asyncio.sleep(0.05)
        found += collections() > before
        client.close()
    return found


async def deferred_on_asyncio():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    while not is_ready():
        await asyncio.sleep(0.001)
    found = 0
    for _ in range(ROUNDS):
        garbage()
        before = collections()
        await asyncio.sleep(0.01)
        found += collections() > before
    server.close()
    return found


def deferred_on_gevent():
    import gevent
    import gevent.server

    server = gevent.server.StreamServer(("127.0.0.1", 0), lambda client, address: None)
    server.start()
    while not is_ready():
        gevent.sleep(0.001)
    found = 0
    for _ in range(ROUNDS):
        garbage()
        before = collections()
        gevent.sleep(0.01)
        found += collections() > before
    return found


def deferred(loop):
    return deferred_on_gevent() if loop == "gevent" else asyncio.run(deferred_on_asyncio())


def pending(kind):
    listener = listen()
    serve = waits(kind, listener)
    client = connect(listener)
    for _ in range(PENDING):
        serve(1000)
    client.close()
    return is_ready()


LOOPS = ("asyncio", "uvloop")
WHAT = {
    "others": others,
    "accepted": accepted,
    "soon": soon,
    "deferred": deferred,
    "pending": pending,
}

if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if "uvloop" in arguments:
        import uvloop

        uvloop.install()
    json.dump(WHAT[what](*arguments), sys.stdout)
