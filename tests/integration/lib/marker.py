"""A process in mode concurrent whose marker waits where a test wants it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import mmap
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from venvs import Interpreter

from lib.puppet import Puppet
from lib.run import shared_library, wait_for
from lib.server import children

# What a marker does in the traverse of marker_latch.c.
GO_ON, WAIT, WAIT_TOO, SPIN, CRASH, WRITE, CLOSE, OPEN, SIGNAL, FORK = range(10)
# Which call of it: the marker subtracts references, and then looks what is reached.
PHASES = (1, 2)


def stat_of(pid: int) -> list[str]:
    """/proc/PID/stat from its state on: field 3 is the first."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def exit_signal(pid: int) -> int | None:
    stat = stat_of(pid)
    return int(stat[38 - 3]) if stat else None


def is_there(pid: int) -> bool:
    """A zombie is not."""
    stat = stat_of(pid)
    return bool(stat) and stat[0] not in "ZX"


def markers(pid: int) -> list[int]:
    """Its children that send no signal when they end; a zombie is one, too."""
    return [child for child in children(pid) if exit_signal(child) == 0]


@functools.cache
def latch_library() -> Path:
    into = Path(tempfile.mkdtemp(prefix="gcpreload-latch-"))
    atexit.register(shutil.rmtree, into)
    into.chmod(0o755)
    return shared_library("marker_latch", into)


class Latch:
    """The page of marker_latch.c, and what a program needs to find it."""

    def __init__(self, into: Path) -> None:
        self.path = into / "latch.page"
        self.path.write_bytes(bytes(4096))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 4096)
        self.environment = {
            "MARKER_LATCH": str(latch_library()),
            "MARKER_LATCH_PAGE": str(self.path),
        }

    def set(self, does: int, at: int = 1, fd: int = -1) -> None:
        """The number of those that came begins anew. Whoever waits for something else goes on."""
        struct.pack_into("3i", self._page, 4, at, fd, 0)
        struct.pack_into("i", self._page, 0, does)

    def go_on(self) -> None:
        struct.pack_into("i", self._page, 0, GO_ON)

    def came(self) -> int:
        return int(struct.unpack_from("i", self._page, 12)[0])


class Marked(Puppet):
    """tests/apps/puppet.py in mode concurrent, one mark after the other, with a latch."""

    def __init__(
        self,
        python: Interpreter,
        ring_dir: Path,
        *,
        program: Sequence[str | Path] | None = None,
        extra: dict[str, str] | None = None,
        **settings: str,
    ) -> None:
        if python.minor < (3, 8) or not python.with_gil:
            pytest.skip("no marks on this Python")
        self.latch = Latch(ring_dir)
        modes = {"GCPRELOAD_MODE": "concurrent", "GCPRELOAD_GROWTH": "0"}
        modes["GCPRELOAD_LOG"] = "debug"
        super().__init__(
            python,
            ring_dir,
            program=program,
            extra={**self.latch.environment, **(extra or {})},
            **{**modes, **settings},
        )

    def __enter__(self) -> Marked:
        super().__enter__()
        self.do("from marker_latch import *")
        return self

    def __exit__(self, *error: object) -> None:
        self.latch.go_on()  # whoever waits there would do so for ever
        super().__exit__(*error)

    def becomes_ready(self) -> Marked:
        """Its ring may be another user's."""
        self.do("one = listen()")
        self.until("readiness", lambda: self.log(": ready "), "arm(one)")
        assert not self.log("using mode idle"), self.errors()
        return self

    def tell(self, source: str) -> None:
        """What has no answer: it ends, or becomes another program."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(source).encode() + b"\n")
        self.process.stdin.flush()

    def log(self, words: str) -> list[str]:
        """Lines of the library's that match."""
        return [line for line in self.errors().splitlines() if re.search(words, line)]

    def swept(self) -> int:
        """Marks that were finished, and whose garbage was given back."""
        return len(self.log("mark: fork"))

    def failed(self) -> list[str]:
        return self.log("a mark came to nothing")

    def until(self, what: str, look: Callable[[], Any], tick: str = "one_collection()") -> None:
        """Its collector runs until there is something."""

        def ticked() -> Any:  # noqa: ANN401 - whatever look returns
            self.do(tick)
            return look()

        wait_for(what, ticked)

    def marks_go_on(self, number: int = 2) -> None:
        before = self.swept()
        self.until(f"{number} marks more", lambda: self.swept() >= before + number)

    def hold(self, at: int = 1, does: int = WAIT) -> int:
        """The marker that waits in the latch from now on."""
        self.latch.set(does, at)
        self.until("a marker in the latch", self.latch.came)
        (marker,) = markers(self.pid)
        return marker

    def hold_after(self, *sources: str) -> int:
        """One whose mark began after these: whoever waits now has not seen them."""
        before = self.hold()
        self.do(*sources)
        self.latch.set(WAIT_TOO)
        self.until("the next marker in the latch", self.latch.came)
        (marker,) = [pid for pid in markers(self.pid) if pid != before]
        return marker

    def release(self, marker: int) -> None:
        """It finishes; nobody has looked at its result."""
        self.latch.go_on()
        wait_for("the end of the marker", lambda: not is_there(marker))


# Old garbage: it survived, so that only a mark finds it.
OLD = "import weakref; OLD = [Cycle() for _ in range(3000)]; SEEN = [weakref.ref(c) for c in OLD]"
LIVING = "sum(seen() is not None for seen in SEEN)"


def old_garbage(puppet: Marked) -> None:
    """It lives until OLD is dropped."""
    puppet.do(OLD)
    puppet.marks_go_on()


def old_garbage_goes(puppet: Marked) -> None:
    """It is there before, and marks find it."""
    puppet.do("OLD = None")
    assert puppet.do(LIVING) == 3000
    puppet.until("the end of what is old", lambda: puppet.do(LIVING) == 0)


@contextlib.contextmanager
def side_by_side(python: Interpreter, ring_dir: Path, number: int) -> Iterator[list[Marked]]:
    """Several that would wait one after the other, ready."""
    with contextlib.ExitStack() as stack:
        puppets = []
        for index in range(number):
            own = ring_dir / str(index)
            own.mkdir()
            puppets.append(stack.enter_context(Marked(python, own)))
        for puppet in puppets:
            puppet.becomes_ready()
        yield puppets
