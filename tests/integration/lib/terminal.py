"""A program on a real terminal: a tmux of its own, in which nobody types but the test."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lib.run import environment, wait_for

T = TypeVar("T")


class Terminal:
    """What it shows is text of so many columns and rows."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]

    def tmux(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *words],
            env=dict(env) if env else environment(),
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode()

    def keys(self, *names: str) -> None:
        """As tmux names them: "Enter", "Escape", "C-c", or a letter."""
        self.tmux("send-keys", *names)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def lines(self, *options: str) -> list[str]:
        return self.tmux("capture-pane", "-p", *options).split("\n")[:-1]

    def wait(self, what: str, look: Callable[[list[str]], T | None]) -> T:
        """Until there is something on the screen; what look makes of it."""
        last: list[str] = []

        def once() -> T | None:
            last[:] = self.lines()
            return look(last)

        try:
            return wait_for(what, once)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(last)) from None

    def wait_for(self, pattern: str) -> re.Match[str]:
        """A line in which it is found."""

        def look(lines: list[str]) -> re.Match[str] | None:
            return next((found for line in lines if (found := re.search(pattern, line))), None)

        return self.wait(f"{pattern!r} on the terminal", look)


@contextmanager
def terminal(
    directory: Path, *command: str | Path, columns: int = 80, rows: int = 24, **env: str
) -> Iterator[Terminal]:
    """Runs a command, and says its exit status when it has ended."""
    shown = Terminal(Path(tempfile.mkdtemp(dir=directory)) / "tmux")
    line = f"{shlex.join(map(str, command))}; echo status $?; exec sh"
    shown.tmux(
        "new-session", "-d", "-x", str(columns), "-y", str(rows), line,
        env=environment(**{"PS1": "$ ", **env}),
    )  # fmt: skip
    try:
        yield shown
    finally:
        subprocess.run([*shown._tmux, "kill-server"], check=True)
