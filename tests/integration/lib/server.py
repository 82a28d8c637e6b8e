"""Servers under test: started, waited for, asked, ended by pid."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from venvs import Interpreter, venv

from lib.paths import APPS, DEADLINE
from lib.rings import Process, ps
from lib.run import environment, wait_for

HEAP = 20000  # objects that the test applications make at their start, at least


def children(pid: int) -> list[int]:
    """Pids of the living children."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def private_kilobytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text)[1])


@contextlib.contextmanager
def only(worker: int, workers: list[int]) -> Iterator[None]:
    """Meanwhile every request goes to that worker, since the others are stopped."""
    others = [pid for pid in workers if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


class Server:
    """A command that says on its output where it listens. Use it in a with statement."""

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        self.command = [str(word) for word in command]
        self.env = {**env, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.port = 0
        self._family: set[int] = set()

    def __enter__(self) -> Server:
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command,
            env=self.env,
            cwd=APPS,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.port = wait_for("the address in the output", self._find_port)
            wait_for("an answer", self._answers)
        except BaseException as error:
            self._end()
            if isinstance(error, AssertionError):
                raise AssertionError(f"{error}\n{self.output()}") from None
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if kind is not None:
            print(self.output())
        self._log.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _find_port(self) -> int | None:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}")
        found = re.search(r"(?:http://127\.0\.0\.1:|127\.0\.0\.1 port )(\d+)", self.output())
        return int(found[1]) if found else None

    def _answers(self) -> bool:
        """Asked as soon as it listens: what comes before the application is loaded waits."""
        return self.get("/").startswith("hello")

    def output(self) -> str:
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def workers(self) -> list[int]:
        found = children(self.pid)
        self._family.update(found)
        return found

    def adopt(self, *pids: int) -> None:
        """Of its session, but no longer its children: ended with it."""
        self._family.update(pids)

    def workers_in_state(self, state: str, ring_dir: Path, number: int = 2) -> list[Process]:
        """Its workers, once there are so many and all are in that state."""

        def look() -> list[Process] | None:
            pids = self.workers()
            found = [p for p in ps(ring_dir) if p.pid in pids and p.state == state]
            return found if len(found) == len(pids) == number else None

        return wait_for(f"{number} workers with state {state}", look)

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()
        assert response.status == 200, f"{path}: {response.status} {body}"
        return body

    def json(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON has
        return json.loads(self.get(path))

    def only(self, worker: int) -> contextlib.AbstractContextManager[None]:
        return only(worker, self.workers())

    def ask(self, worker: int, path: str) -> Any:  # noqa: ANN401 - whatever JSON has
        with self.only(worker):
            answer = self.json(path)
        assert answer["pid"] == worker
        return answer

    def terminate(self) -> int:
        """As an operator does it; the exit status."""
        self.workers()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def _end(self) -> None:
        """Nothing that was started here stays."""
        self.workers()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self._family:
            # Still of our session: not a stranger that was given the same number.
            with contextlib.suppress(OSError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)


def gunicorn(
    python: Interpreter,
    ring_dir: Path | None,
    *,
    kind: str = "sync",
    workers: int = 2,
    app: str = "wsgi:app",
    **settings: str,
) -> Server:
    """gunicorn with tests/apps/wsgi.py, under the library if there is a ring_dir."""
    command = [venv("gunicorn", python), "-m", "gunicorn", "-b", "127.0.0.1:0", "-k", kind]
    command += ["-w", str(workers), "-t", "0", "--graceful-timeout", "20", app]
    if kind == "gthread":
        command[-1:-1] = ["--threads", "4"]
    return Server(command, environment(ring_dir, **settings))
