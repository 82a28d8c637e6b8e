"""A uvloop server that was stopped. The number of its epoll descriptor becomes a C library's,
which waits on it under a mutex that another thread wants, with the GIL. Arguments: the library;
"listener" if a listening socket is in the set again, of the number that the server's had."""

import asyncio
import ctypes
import gc
import os
import select
import signal
import socket
import sys
import threading
import time

import uvloop

free, locked = ctypes.CDLL(sys.argv[1]), ctypes.PyDLL(sys.argv[1])
signal.alarm(60)  # what hangs has failed


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    return listener


def epoll_sets():
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "eventpoll" in os.readlink("/proc/self/fd/" + name):
                found.add(int(name))
        except OSError:
            pass
    return found


async def serve():
    """Until something was collected in a wait; the numbers of its set and its socket."""
    listener = listen()
    number = listener.fileno()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), sock=listener)
    while gc.get_threshold()[0] <= 2000:  # as no interpreter has it itself
        await asyncio.sleep(0.01)
    before = collections()
    while collections() == before:
        garbage()
        before = collections()
        await asyncio.sleep(0.05)
    (epoll,) = epoll_sets()
    server.close()
    await server.wait_closed()
    return epoll, number


def take_the_number(number):
    """New sets, of which the last has it."""
    assert number not in epoll_sets()
    return [select.epoll() for _ in range(50) if number not in epoll_sets()]


def collections():
    return sum(part["collections"] for part in gc.get_stats())


def want():
    while not free.is_locked():
        pass
    locked.want_mutex()


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def main():
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    epoll, number = loop.run_until_complete(serve())
    loop.close()
    kept = take_the_number(epoll)
    (ours,) = [one for one in kept if one.fileno() == epoll]
    if sys.argv[2:] == ["listener"]:
        listener = listen()
        os.dup2(listener.fileno(), number)
        ours.register(number, select.EPOLLIN)
    for wait in [free.epoll_under_mutex, free.epoll_pwait_under_mutex] * 5:
        garbage()
        wanting = threading.Thread(target=want)
        wanting.start()
        time.sleep(0.02)  # a wait is looked at again
        # Work that the stopped server's io_uring has left may interrupt it, without us as well.
        assert wait(epoll, 20) in (0, -1)
        wanting.join()
    print("done")


main()
