"""An asyncio server in which only a finalizer, run by the collector, can wake what waits."""

import asyncio
import gc
import socket
import sys


class Resource:
    def __init__(self, future):
        self.me = self
        self.future = future

    def __del__(self):
        self.future.set_result("given back")


async def main():
    loop = asyncio.get_event_loop()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    future = loop.create_future()
    loop.add_reader(listener, listener.accept)
    gc.collect()
    Resource(future)
    print(await future)  # the very next wait is one for ever
    loop.remove_reader(listener)
    listener.close()


if sys.version_info >= (3, 10):
    asyncio.run(main())
else:
    asyncio.get_event_loop().run_until_complete(main())
