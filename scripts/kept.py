#!/usr/bin/env python3
"""Processes that end when whoever started them is gone, even by kill -9.

A guard waits for the end of a pipe that only the starter holds: the kernel closes it, however the
starter ends. PR_SET_PDEATHSIG would reach the first process only, and not its workers.

    kept.py FD [NAME=VALUE]... -- REMOVED -- COMMAND...     (started by Kept, for itself)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE = 10.0  # seconds, from the first word to the last
DONE = b"."


def _stat(pid: int) -> list[str]:
    """From the state on: /proc/PID/stat's third field is the first here; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def session(leader: int) -> list[int]:
    """The living processes of that session. While there is one, its number is nobody else's."""
    found = []
    for name in os.listdir("/proc"):
        words = _stat(int(name)) if name.isdigit() else []
        if words and words[0] not in "ZX" and words[3] == str(leader):
            found.append(int(name))
    return found


def _begun(pid: int) -> str:
    words = _stat(pid)
    return words[19] if words else ""


def _kill(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


class Kept(subprocess.Popen[bytes]):
    """Leads a session of its own; all of that ends with end(), or when we are gone."""

    def __init__(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        cwd: Path | str | None = None,
        stdout: object = None,
        stderr: object = None,
        removed: Path | str = "",  # a directory that goes too, where we cannot remove it ourselves
    ) -> None:
        # What is preloaded is meant for the command, not for the guard.
        own = {name: value for name, value in env.items() if name.startswith(("LD_", "GCPRELOAD"))}
        rest = {name: value for name, value in env.items() if name not in own}
        reading, self._held = os.pipe()
        words = [sys.executable, "-I", "-S", __file__, str(reading)]
        words += [f"{name}={value}" for name, value in own.items()]
        try:
            super().__init__(
                [*words, "--", str(removed), "--", *map(str, command)],
                env=rest,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,  # type: ignore[arg-type]
                stderr=stderr,  # type: ignore[arg-type]
                start_new_session=True,
                pass_fds=(reading,),
            )
        except BaseException:
            os.close(self._held)
            raise
        finally:
            os.close(reading)

    def end(self, grace: float = GRACE) -> None:
        """Gently at first; then whatever is left of its session. May be called again."""
        if self._held < 0:
            return
        if self.poll() is None:
            self.terminate()
            try:
                self.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
                self.wait()
        _kill(session(self.pid), signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._held, DONE)
        os.close(self._held)
        self._held = -1


def _guard(pipe: int, leader: int, begun: str, removed: str) -> None:
    """Reads until the starter says that it is done, or is no more."""
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if os.read(pipe, 1) == DONE or _begun(leader) not in ("", begun):
        return
    last = time.monotonic() + GRACE
    _kill([leader] if _begun(leader) else session(leader), signal.SIGTERM)
    while left := session(leader):
        if time.monotonic() > last:
            _kill(left, signal.SIGKILL)
        time.sleep(0.05)
    if removed:
        shutil.rmtree(removed, ignore_errors=True)


def main() -> None:
    pipe, rest = int(sys.argv[1]), sys.argv[2:]
    settings, (_, removed, _, *command) = rest[: rest.index("--")], rest[rest.index("--") :]
    leader, begun = os.getpid(), _begun(os.getpid())
    # Twice, or the guard would be a child that the command does not know.
    if os.fork() == 0:
        if os.fork() == 0:
            _guard(pipe, leader, begun, removed)
        os._exit(0)
    os.wait()
    os.close(pipe)
    for setting in settings:
        name, _, value = setting.partition("=")
        os.environ[name] = value
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
