"""Programs that wait for clients, and say line by line what their waits came back with."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lib.paths import DEADLINE
from lib.puppet import collections_of
from lib.rings import by_pid
from lib.run import environment, wait_for


class Waiting:
    """One of them, under the library."""

    def __init__(self, process: subprocess.Popen[bytes], ring_dir: Path) -> None:
        self.process = process
        self.ring_dir = ring_dir

    def says(self, within: float = DEADLINE) -> str | None:
        """Its next line, or "" at its end; or None if there is none so soon."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], within)[0]:
            assert within < DEADLINE, "it says nothing"
            return None
        return self.process.stdout.readline().decode().strip()

    def port(self) -> int:
        line = self.says()
        assert line, f"it ended with {self.process.wait(DEADLINE)}"
        return int(line)

    def is_ready(self) -> bool:
        shown = by_pid(self.ring_dir).get(self.process.pid)
        return shown is not None and shown.state == "ready"

    def becomes_ready(self) -> None:
        """Or it has ended, which is for the caller to find."""
        wait_for("readiness", lambda: self.is_ready() or self.process.poll() is not None)

    def collections(self, cause: str) -> int:
        return collections_of(by_pid(self.ring_dir)[self.process.pid], cause)

    def idle_collections(self) -> int:
        return self.collections("idle")

    def end(self) -> int:
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def waiting(
    ring_dir: Path,
    command: Sequence[str | Path],
    extra: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Waiting]:
    with subprocess.Popen(
        [str(word) for word in command],
        env={**environment(ring_dir, **settings), **(extra or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield Waiting(process, ring_dir)
        finally:
            process.kill()


def connect(port: int) -> bytes:
    """A client that stays until it was accepted, and answered, closed or left behind."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE) as client,
        contextlib.suppress(ConnectionResetError),
    ):
        return client.recv(1)
    return b""
