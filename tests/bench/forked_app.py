"""The demo's shop, behind a middleware that says what memory a worker does not share."""

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
    gc.collect()
    body = b"%d %d\n" % (os.getpid(), private_dirty())
    time.sleep(0.2)  # the other workers get the other requests
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
