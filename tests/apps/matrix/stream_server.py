"""Listens, and asks who connects: what is looked at is the client."""

import json
import os
import socket


class Stream:
    file = None


def send(number):
    if not Stream.file:
        listener = socket.create_server(("127.0.0.1", int(os.environ["MATRIX_PORT"])))
        Stream.file = listener.accept()[0].makefile("rwb")
    Stream.file.write(b"%d\n" % number)
    Stream.file.flush()
    answer = json.loads(Stream.file.readline())
    return lambda: answer
