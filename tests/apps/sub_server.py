"""A server that answers each request in a sub-interpreter, in a thread of its own, while its main
thread waits for the next. Says its port."""

import os
import select
import socket
import threading
import time

try:
    import _interpreters as sub
except ImportError:
    import _xxsubinterpreters as sub

# It waits for something else meanwhile, as for a database, and makes garbage.
HANDLER = """
import os, select, socket
one, other = socket.socketpair()
for _ in range(20):
    select.select([one], [], [], 0.001)
    for _ in range(100):
        cycle = []
        cycle.append(cycle)
os.write(%d, b"x")
"""


def handle(client, interpreter):
    reading, writing = os.pipe()
    sub.run_string(interpreter, HANDLER % writing)
    os.close(writing)
    client.sendall(os.read(reading, 1) or b"-")
    os.close(reading)
    client.close()


def garbage():
    for _ in range(8000):
        cycle = []
        cycle.append(cycle)


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    interpreter = sub.create()
    print(listener.getsockname()[1], flush=True)
    while True:
        if select.select([listener], [], [], 0.05)[0]:
            client = listener.accept()[0]
            thread = threading.Thread(target=handle, args=(client, interpreter))
            thread.start()
            garbage()
            select.select([listener], [], [], 0.01)
            thread.join()
            time.sleep(0.02)


main()
