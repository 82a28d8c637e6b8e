"""For gunicorn's gevent worker: garbage whose finalizer lets other greenlets run."""

import os
import time

from wsgi import app as inner


class Connection:
    def __init__(self):
        self.me = self

    def __del__(self):
        time.sleep(0.001)  # gevent's: a switch, which its hub does not allow
        with open(os.environ["APP_FINALIZED"], "a") as file:
            file.write("x")


# A reference until the very end of the import: the collection at readiness must find it.
Connection()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/connection":
        Connection()
    return inner(environ, start_response)
