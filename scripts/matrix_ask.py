"""How work is sent to what the matrix looks at: over HTTP, or in lines of two pipes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ANSWER = 30.0  # seconds, after which one is lost


class Refused(Exception):
    """Nobody is there, so far."""


@dataclass
class Tally:
    """What became of the work that was sent."""

    answered: int = 0
    lost: int = 0
    wrong: int = 0
    by_pid: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, number: int, answer: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """answer: what was sent back, or why nothing was."""
        if isinstance(answer, Exception):
            self.lost += 1
        elif not isinstance(answer, dict) or answer.get("n") != number:
            self.wrong += 1
        else:
            self.answered += 1
            pid = answer["pid"]
            self.by_pid[pid] = self.by_pid.get(pid, 0) + 1
            return
        self.faults = [*self.faults[:9], f"{number}: {answer!r}"[:300]]


class Channel(Protocol):
    def ask(self, numbers: Sequence[int]) -> list[Any]:
        """All at once; an answer of each, or the exception that came instead."""

    def close(self) -> None: ...


# ---- HTTP ----


class _Connection(http.client.HTTPConnection):
    """To a port, or to a Unix socket."""

    def __init__(self, address: int | Path) -> None:
        self.place = address
        super().__init__("127.0.0.1", address if isinstance(address, int) else 80, timeout=ANSWER)

    def connect(self) -> None:
        if isinstance(self.place, int):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER)
        self.sock.connect(str(self.place))


class Http:
    def __init__(self, address: Callable[[], int | Path], keep: bool) -> None:
        self.address = address  # it may not be known yet: then Refused
        self.keep = keep
        self.kept: list[_Connection] = []
        self.pool = ThreadPoolExecutor(4)

    def ask(self, numbers: Sequence[int]) -> list[Any]:
        return list(self.pool.map(self._one, numbers))

    def _one(self, number: int) -> Any:  # noqa: ANN401
        try:
            # None is left, or the server has closed what nothing came on for a while.
            with contextlib.suppress(IndexError, ConnectionError, http.client.HTTPException):
                return self._on(self.kept.pop(), number)
            return self._on(_Connection(self.address()), number)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            return Refused(repr(error))
        except (Refused, OSError, ValueError, http.client.HTTPException) as error:
            return error

    def _on(self, connection: _Connection, number: int) -> Any:  # noqa: ANN401
        stays = False
        try:
            headers = {} if self.keep else {"Connection": "close"}
            connection.request("GET", f"/job?n={number}", headers=headers)
            response = connection.getresponse()
            body = response.read()
            stays = self.keep and not response.will_close
        finally:
            if not stays:
                connection.close()
        if stays:
            self.kept.append(connection)
        return json.loads(body) if response.status == 200 else (response.status, body)

    def close(self) -> None:
        self.pool.shutdown()
        for connection in self.kept:
            connection.close()


# ---- lines ----


class Lines:
    """The pipes "in" and "out" of a directory; see tests/apps/matrix/talk.py."""

    def __init__(self, place: Path, lives: Callable[[], bool]) -> None:
        self.lives = lives
        os.mkfifo(place / "in")
        os.mkfifo(place / "out")
        # Open at both ends: it does not end before we do.
        self.into, self.out = (os.open(place / name, os.O_RDWR) for name in ("in", "out"))
        self.rest = b""
        self.answers: dict[int, Any] = {}

    def ask(self, numbers: Sequence[int], deadline: float = ANSWER) -> list[Any]:
        os.write(self.into, b"".join(b"%d\n" % number for number in numbers))
        ends = time.monotonic() + deadline
        while not all(number in self.answers for number in numbers):
            if not self.lives() or not self._read(ends):
                break
        lost = TimeoutError("no answer")
        return [self.answers.pop(number, lost) for number in numbers]

    def _read(self, ends: float) -> bool:
        """For a moment; whether there is time left."""
        if select.select([self.out], [], [], 0.2)[0]:
            *lines, self.rest = (self.rest + os.read(self.out, 1 << 16)).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                self.answers[answer["n"]] = answer
        return time.monotonic() < ends

    def close(self) -> None:
        os.close(self.into)
        os.close(self.out)
