"""Under gevent, a request that computes for so long that its garbage must be collected in the
middle of it, with finalizers that talk to a server and so switch to gevent's hub. Says what they
were answered, and ends with its input."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import os  # noqa: E402
import socket  # noqa: E402

import gevent  # noqa: E402
import gevent.server  # noqa: E402

ROUNDS = 30000  # where nobody collects, some seconds
answers = []


class Node:
    def __init__(self, payload):
        self.me = self
        self.payload = payload


class Connection:
    def __init__(self, port):
        self.me = self
        self.socket = socket.create_connection(("127.0.0.1", port))

    def __del__(self):
        self.socket.sendall(b"rollback")
        gevent.sleep(0.001)
        answers.append(self.socket.recv(100))
        self.socket.close()


def echo(client, address):
    client.sendall(client.recv(100))


def request(port):
    """What it drops is old by then, so that only a full collection finds it; and its memory grows,
    so that one is due."""
    connection = Connection(port)
    live = []
    for number in range(ROUNDS):
        live.extend(Node(bytearray(400)) for _ in range(1000))
        if number == 200:
            del connection
        if len(live) > 300000:
            del live[:200000]
        if answers:
            break


def main():
    heap = [[number] for number in range(100000)]
    server = gevent.server.StreamServer(("127.0.0.1", 0), echo)
    server.start()
    while gc.get_freeze_count() < len(heap):
        gevent.sleep(0.01)
    gevent.spawn(request, server.server_port).get()
    print(*answers, flush=True)
    os.read(0, 1)


main()
