"""An event loop in which only a finalizer, run by a collection of ours at a wait, can wake what
waits. Arguments: asyncio, the same with a selector (SelectSelector and so on) or uvloop;
ready (the collection at readiness), idle, or home: no server, and idle."""

import asyncio
import gc
import selectors
import socket
import sys

LOOP, COLLECTION = sys.argv[1:]


class Resource:
    def __init__(self, future):
        self.me = self
        self.future = future

    def __del__(self):
        self.future.set_result("given back")


async def until_tuned():
    while gc.get_threshold()[0] <= 2000:  # as no interpreter has it itself
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def until_at_home():
    """Most of the time was spent in its waits, for long enough."""
    for _ in range(70):
        await asyncio.sleep(0.1)


async def main():
    loop = asyncio.get_event_loop()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    future = loop.create_future()
    if COLLECTION == "ready":
        gc.collect()
    if COLLECTION == "home":
        listener.close()
        await until_at_home()
    else:
        listener.listen(1)
        listener.setblocking(False)
        loop.add_reader(listener, listener.accept)
    if COLLECTION != "ready":
        await until_tuned()
    Resource(future)
    if COLLECTION != "ready":
        for _ in range(8000):  # so that one is due
            cycle = []
            cycle.append(cycle)
    # The very next wait is one for ever. libuv's helper in the kernel spins for some ms, which
    # counts as work of another thread: there a second chance comes.
    while (LOOP, COLLECTION) == ("uvloop", "idle") and not future.done():
        await asyncio.sleep(0.05)
    print(await future)
    if COLLECTION != "home":
        loop.remove_reader(listener)
        listener.close()


if LOOP == "uvloop":
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
if LOOP.endswith("Selector"):
    new_loop = asyncio.SelectorEventLoop(getattr(selectors, LOOP)())
else:
    new_loop = asyncio.new_event_loop()
new_loop.run_until_complete(main())
