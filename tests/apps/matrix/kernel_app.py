"""Asks a Jupyter kernel, whose connection file is in MATRIX_PLACE."""

import ast
import os
import time

from jupyter_client import BlockingKernelClient

FILE = os.path.join(os.environ["MATRIX_PLACE"], "kernel.json")


class Client:
    kernel = None


def connect():
    while not os.path.exists(FILE):
        time.sleep(0.05)
    kernel = BlockingKernelClient(connection_file=FILE)
    kernel.load_connection_file()
    kernel.start_channels()
    kernel.wait_for_ready(timeout=60)
    return kernel


def send(number):
    if not Client.kernel:
        Client.kernel = connect()
    code = "__import__('work').work(%d)" % number
    asked = Client.kernel.execute("", silent=True, user_expressions={"answer": code})
    while True:
        reply = Client.kernel.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == asked:
            break
    text = reply["content"]["user_expressions"]["answer"]["data"]["text/plain"]
    return lambda: ast.literal_eval(text)
