"""Processes into which the library is loaded while they run."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from venvs import Interpreter

from lib.paths import LIBRARY
from lib.puppet import Puppet
from lib.run import environment

# What an injected text does: dlopen(), and the call with the GIL held.
LOAD = f"import ctypes; ours = ctypes.PyDLL({str(LIBRARY)!r})"
FORKED = """
def forked(source):
    pid = os.fork()
    if not pid:
        exec(source, globals())
        os._exit(7)
    return os.waitpid(pid, 0)[1] >> 8
"""
# What a test says of modes and times; see environment().
SETTINGS = {
    name: value
    for name, value in environment("/").items()
    if name.startswith("GCPRELOAD_") and name not in ("GCPRELOAD_DIR", "GCPRELOAD_MODE")
}


class Late(Puppet):
    """A puppet that was started without the library."""

    def __init__(
        self, python: Interpreter, ring_dir: Path, *, extra: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(python, None, extra=extra)
        self.ring_dir = ring_dir

    def load(self) -> None:
        self.do(LOAD, FORKED)

    def text(self, mode: str | None = "observe", **settings: str) -> bytes:
        given = {**SETTINGS, "GCPRELOAD_DIR": str(self.ring_dir), **settings}
        if mode:
            given["GCPRELOAD_MODE"] = mode
        return "".join(f"{name}={value}\n" for name, value in given.items()).encode()

    def call(self, source: str) -> int | str:
        """What an exported function returns: 0, or the name of the error."""
        ret = self.do(source)
        return errno.errorcode[-ret] if ret < 0 else ret

    def attach(self, mode: str | None = "observe", **settings: str) -> int | str:
        self.load()
        return self.call(f"ours.gcpreload_attach({self.text(mode, **settings)!r})")

    def detach(self) -> int | str:
        return self.call("ours.gcpreload_detach()")

    def mappings(self) -> str:
        return Path(f"/proc/{self.pid}/maps").read_text()


def rings(ring_dir: Path) -> list[str]:
    """The names of all of them."""
    place = ring_dir / f"gcpreload-{os.geteuid()}"
    return sorted(p.name for p in place.iterdir()) if place.exists() else []


def same_counts(new: list[dict[str, Any]], old: list[dict[str, Any]]) -> list[dict[str, int]]:
    """What gc.get_stats() has grown by."""
    return [{name: one[name] - two[name] for name in two} for one, two in zip(new, old)]
