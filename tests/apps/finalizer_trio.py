"""As finalizer_loop.py, for trio. Arguments: ready or idle."""

import gc
import sys

import trio


class Resource:
    def __init__(self, event):
        self.me = self
        self.event = event

    def __del__(self):
        self.event.set()


async def serve(listener):
    await listener.accept()


async def main():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    event = trio.Event()
    gc.collect()
    async with trio.open_nursery() as nursery:
        if sys.argv[1] == "idle":
            nursery.start_soon(serve, listener)
            while gc.get_threshold()[0] <= 2000:  # as no interpreter has it itself
                await trio.sleep(0.01)
            await trio.sleep(0.05)
        Resource(event)
        for _ in range(8000 if sys.argv[1] == "idle" else 0):  # so that one is due
            cycle = []
            cycle.append(cycle)
        if sys.argv[1] == "ready":
            nursery.start_soon(serve, listener)
        await event.wait()
        print("given back")
        nursery.cancel_scope.cancel()


trio.run(main)
