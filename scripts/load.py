"""An open-loop load: requests leave at a constant rate, whether or not the last was answered.

A latency counts from the moment when the request was due, so that a server that stops for a
moment is charged for everyone who would have come meanwhile (no coordinated omission).
"""

from __future__ import annotations

import gc
import math
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Callable

GIVE_UP = 30.0  # seconds


@dataclass
class Result:
    """Latencies in seconds, in the order of arrival, and what failed."""

    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    late: float = 0.0  # how far behind its own plan the generator was, at worst


class _Request:
    """One connection, one request, one answer."""

    def __init__(self, due: float, data: bytes) -> None:
        self.due = due
        self.data = data
        self.answer = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)


class OpenLoop:
    """Asks http://127.0.0.1:port/?n=0, 1, 2 ... at a constant rate."""

    def __init__(self, port: int, rate: float, path: str = "/?n={n}") -> None:
        self.port = port
        self.rate = rate
        self.path = path
        self.count = 0
        self.selector = selectors.EpollSelector()
        self.open: set[_Request] = set()

    def _send(self, due: float) -> None:
        path = self.path.replace("{n}", str(self.count))
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        self.count += 1
        request = _Request(due, head.encode())
        request.socket.connect_ex(("127.0.0.1", self.port))
        self.selector.register(request.socket, selectors.EVENT_WRITE, request)
        self.open.add(request)

    def _finish(self, request: _Request, result: Result, good: bool) -> None:
        self.selector.unregister(request.socket)
        request.socket.close()
        self.open.discard(request)
        if good:
            result.latencies.append(time.monotonic() - request.due)
        else:
            result.failures += 1

    def _go_on(self, request: _Request, mask: int, result: Result) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                request.socket.sendall(request.data)
                self.selector.modify(request.socket, selectors.EVENT_READ, request)
                return
            chunk = request.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            self._finish(request, result, False)
            return
        if not request.answer:
            request.answer = chunk[:32]
        if not chunk:
            self._finish(request, result, request.answer.startswith(b"HTTP/1.1 200"))

    def _poll(self, timeout: float, result: Result) -> None:
        for key, mask in self.selector.select(max(0.0, timeout)):
            self._go_on(key.data, mask, result)

    def run(self, seconds: float, progress: Callable[[float], None]) -> Result:
        """Load for so long; then waits for the answers that are still missing."""
        result = Result()
        gc_was_on = gc.isenabled()
        gc.disable()  # a pause of ours would be taken for one of the server's
        start = time.monotonic()
        planned = int(seconds * self.rate)
        try:
            for number in range(planned):
                due = start + number / self.rate
                while (left := due - time.monotonic()) > 0:
                    self._poll(left, result)
                result.late = max(result.late, -left)
                self._send(due)
                self._poll(0, result)
                if number % max(1, int(self.rate)) == 0:
                    progress(seconds - number / self.rate)
            give_up = time.monotonic() + GIVE_UP
            while self.open and time.monotonic() < give_up:
                self._poll(0.1, result)
        finally:
            for request in list(self.open):
                self._finish(request, result, False)
            self.selector.close()
            if gc_was_on:
                gc.enable()
        return result


def percentile(latencies: list[float], percent: float) -> float:
    """The latency that so many percent are not above."""
    if not latencies:
        return float("nan")
    return sorted(latencies)[max(0, math.ceil(len(latencies) * percent / 100) - 1)]
