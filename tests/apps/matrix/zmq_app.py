"""A ZeroMQ server. Its argument says how it waits: recv, poll or asyncio."""

import asyncio
import os
import sys

import zmq
import zmq.asyncio
from work import work

ADDRESS = "tcp://127.0.0.1:" + os.environ["MATRIX_PORT"]


def serve(polls):
    socket = zmq.Context().socket(zmq.REP)
    socket.bind(ADDRESS)
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    while True:
        if not polls or poller.poll(1000):
            socket.send_json(work(socket.recv_json()))


async def serve_asyncio():
    socket = zmq.asyncio.Context().socket(zmq.REP)
    socket.bind(ADDRESS)
    while True:
        await socket.send_json(work(await socket.recv_json()))


class Client:
    socket = None


def send(number):
    if not Client.socket:
        Client.socket = zmq.Context().socket(zmq.REQ)
        Client.socket.connect(ADDRESS)
    Client.socket.send_json(number)
    answer = Client.socket.recv_json()
    return lambda: answer


if __name__ == "__main__":
    if sys.argv[1] == "asyncio":
        asyncio.run(serve_asyncio())
    else:
        serve(sys.argv[1] == "poll")
