"""A server whose threads allocate, collect and listen while its main thread waits in all ways.

Prints how many objects are frozen when it ends: it was made ready meanwhile.
"""

import contextlib
import gc
import select
import socket
import threading

ROUNDS = 60


def listener():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.listen(5)
    one.setblocking(False)
    return one


def work():
    for i in range(ROUNDS):
        cycles = [[] for _ in range(3000)]
        for cycle in cycles:
            cycle.append(cycle)
        with listener() as own:
            select.select([own], [], [], 0)
        if i % 20 == 0:
            gc.collect()


server = listener()
ready = select.epoll()
ready.register(server)
polled = select.poll()
polled.register(server)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    ready.poll(0.005)
    polled.poll(1)
    select.select([server], [], [], 0.001)
    with contextlib.suppress(OSError):
        server.accept()
print(gc.get_freeze_count())
