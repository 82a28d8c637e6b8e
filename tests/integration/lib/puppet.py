"""A Python process that does, step by step, what a test says."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from venvs import Interpreter

from lib.paths import APPS, DEADLINE
from lib.rings import Process, by_pid
from lib.run import environment, wait_for


class Puppet:
    """tests/apps/puppet.py under the library. Use it in a with statement."""

    def __init__(
        self,
        python: Interpreter,
        ring_dir: Path | None,
        *,
        program: Sequence[str | Path] | None = None,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **settings: str,
    ) -> None:
        self.command = [str(w) for w in program or [python.path, APPS / "puppet.py"]]
        self.ring_dir = ring_dir
        self.env = {**environment(ring_dir, **settings), **(extra or {})}
        self.env["PYTHONDONTWRITEBYTECODE"] = "1"
        self.cwd = cwd

    def __enter__(self) -> Puppet:
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if kind is None:
                raise
        finally:
            if kind is not None:
                print(self.errors())
            self._errors.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def errors(self) -> str:
        """What it wrote to stderr."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def end(self) -> int:
        """Its input ends; the exit status."""
        if self.process.stdin and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        if self.process.stdout:
            self.process.stdout.close()
        return status

    def do(self, *sources: str) -> Any:  # noqa: ANN401 - whatever JSON has
        """Statements or expressions, one after the other; the value of the last."""
        assert self.process.stdin
        assert self.process.stdout
        value = None
        for source in sources:
            self.process.stdin.write(json.dumps(source).encode() + b"\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
                self.process.kill()  # so that the end does not wait as long again
                raise AssertionError(f"{source}: no answer in {DEADLINE} s: {self.errors()}")
            line = self.process.stdout.readline()
            assert line, f"{source}: it ended with {self.process.wait()}: {self.errors()}"
            value = json.loads(line)
        return value

    def collector(self) -> dict[str, Any]:
        return self.do("collector()")

    def frozen(self) -> bool:
        return self.collector()["frozen"]

    def shown(self) -> Process | None:
        """As ps has it, if it has."""
        assert self.ring_dir
        return by_pid(self.ring_dir).get(self.pid)

    def wait_for(self, state: str, *tick: str) -> Process:
        """Until ps shows that state; it does tick meanwhile."""

        def look() -> Process | None:
            if tick:
                self.do(*tick)
            shown = self.shown()
            return shown if shown and shown.state == state else None

        return wait_for(f"the state {state}", look)


def collections_of(process: Process, cause: str) -> int:
    return sum(part["collections"] for part in process.gc if part["cause"] == cause)
