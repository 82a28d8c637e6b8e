"""The demo's shop, behind a middleware that makes the interpreter collect all.

It says how much of the memory that a worker shared has become its own by that.
"""

from __future__ import annotations

import gc
import os
import time
from typing import Any, Callable

import demo_app


def private_dirty() -> int:
    """In kB, as the kernel counts it."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] != "/collect":
        return demo_app.app(environ, start_response)
    full, kept, before = gc.get_stats()[2]["collections"], [], 0
    while gc.get_stats()[2]["collections"] == full:  # until a quarter is new
        before = private_dirty()
        kept.append([[] for _ in range(3000)])
    body = b"%d %d\n" % (os.getpid(), private_dirty() - before)
    time.sleep(0.2)  # the other workers get the other requests
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
