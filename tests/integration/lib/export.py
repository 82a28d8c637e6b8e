"""gcpreload-export, and processes whose measurements it has."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lib.paths import COMMAND, DEADLINE
from lib.puppet import Puppet
from lib.rings import COUNTS, Process
from lib.run import environment, wait_for

PROGRAM = COMMAND.with_name("gcpreload-export")
SERVES = "/metrics on 127.0.0.1:"


class Exporter:
    """Running."""

    def __init__(
        self, ring_dir: Path | str, words: tuple[str | Path, ...], settings: dict[str, str]
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self.process = subprocess.Popen(
            [COMMAND, "export", "--listen", "127.0.0.1:0", "--dir", ring_dir, *words],
            env=environment(**settings),
            stderr=self._errors,
        )

    def errors(self) -> str:
        """What it wrote to stderr."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def said(self, what: str) -> list[str]:
        """Lines of stderr that have it."""
        return [line for line in self.errors().splitlines() if what in line]

    @property
    def url(self) -> str:
        (line,) = wait_for("a port", lambda: self.said(SERVES))
        return "http://127.0.0.1:" + line.rsplit(":", 1)[1]

    def stop(self) -> None:
        if self._errors.closed:
            return
        try:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(DEADLINE) == 0, self.errors()
        finally:
            self.process.kill()
            self.process.wait()
            self._errors.close()


@contextlib.contextmanager
def exporting(ring_dir: Path | str, *words: str | Path, **settings: str) -> Iterator[Exporter]:
    exporter = Exporter(ring_dir, words, settings)
    try:
        yield exporter
    finally:
        exporter.stop()


def served(puppet: Puppet) -> Process:
    """Ready, with garbage collected, and no collection to come."""
    puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()")
    shown = puppet.shown()
    assert shown.state == "ready"
    return shown


def own(puppet: Puppet) -> dict[str, list[int]]:
    """gc.get_stats(), without what was before we came."""
    stats, inherited = puppet.do("gc.get_stats()"), puppet.shown().inherited
    return {
        name: [now[name] - before[name] for now, before in zip(stats, inherited)]
        for name in COUNTS
    }
