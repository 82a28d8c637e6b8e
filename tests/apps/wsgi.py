"""The WSGI application of the tests: the standard library only, Python 3.7 and later.

It keeps a heap worth freezing, answers what its collector looks like, and does to the collector
what APP_GC asks for while it is imported.
"""

import gc
import json
import os
import threading
import time
from urllib.parse import parse_qs

FROZEN_BEFORE = gc.get_freeze_count()  # by the process that forked this one


class Node:
    """Something with a cycle."""

    def __init__(self, payload=None):
        self.me = self
        self.payload = payload


HEAP = [Node([index]) for index in range(int(os.environ.get("APP_HEAP", "20000")))]

if os.environ.get("APP_UNFLUSHED"):
    # An unflushed file that only a cycle holds: written by the interpreter's last collection.
    UNFLUSHED = Node(open(os.path.join(os.environ["APP_UNFLUSHED"], "%d.txt" % os.getpid()), "w"))
    UNFLUSHED.payload.write("7 bytes")


def change_collector(how):
    if how == "disable":
        gc.disable()
    elif how == "thresholds":
        gc.set_threshold(1234, 5, 6)
    elif how == "freeze":
        gc.freeze()
    elif how == "debug":
        gc.set_debug(gc.DEBUG_UNCOLLECTABLE)
    elif how:
        raise ValueError(how)


change_collector(os.environ.get("APP_GC", ""))


def state(query):
    return {
        "enabled": gc.isenabled(),
        "thresholds": gc.get_threshold(),
        "frozen": gc.get_freeze_count(),
        "frozen_before": FROZEN_BEFORE,
        "debug": gc.get_debug(),
        "threads": threading.active_count(),
    }


def stats(query):
    """Counts that stay as they are, since nothing is collected from here on."""
    gc.disable()
    return {"stats": gc.get_stats()}


def garbage(query):
    for _ in range(int(query.get("n", ["1000"])[0])):
        Node()
    return {}


def cycles(query):
    """Garbage of exactly so many objects, on every Python; 5 000 are due in mode idle."""
    for _ in range(int(query.get("n", ["8000"])[0])):
        cycle = []
        cycle.append(cycle)
    return {}


def job(query):
    """A request of scripts/matrix: garbage that is due at the next wait, and which one it was."""
    cycles({"n": ["5500"]})
    return {"n": int(query["n"][0])}


def spin(query):
    """Work without a pause while a collection is due; how many ran meanwhile."""
    cycles(query)
    before = sum(part["collections"] for part in gc.get_stats())
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        sum(range(1000))
    return {"collections": sum(part["collections"] for part in gc.get_stats()) - before}


def collect(query):
    return {"collected": gc.collect(int(query.get("generation", ["2"])[0]))}


def change(query):
    change_collector(query["how"][0])
    return state(query)


def import_late(query):
    import xml.dom.minidom

    return {"module": xml.dom.minidom.__name__}


ANSWERS = {
    "/state": state,
    "/stats": stats,
    "/garbage": garbage,
    "/cycles": cycles,
    "/job": job,
    "/spin": spin,
    "/collect": collect,
    "/change": change,
    "/import": import_late,
}


def app(environ, start_response):
    answer = ANSWERS.get(environ["PATH_INFO"])
    if answer is None:
        body = b"hello from %d\n" % os.getpid()
    else:
        fields = {"pid": os.getpid()}
        fields.update(answer(parse_qs(environ.get("QUERY_STRING", ""))))
        body = json.dumps(fields).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
