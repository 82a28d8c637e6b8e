"""Programs, run under the library and without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from venvs import clean_environment

from lib.paths import APPS, DEADLINE, LIBRARY

T = TypeVar("T")
Completed = subprocess.CompletedProcess


def environment(ring_dir: Path | str | None = None, **settings: str) -> dict[str, str]:
    """A plain environment; with ring_dir also the library, its measurements below ring_dir.

    The mode is `freeze`, in which the fewest things happen by themselves, unless a test, or its
    settings file, says another. GCPRELOAD_MODE="" leaves it to the library.

    How long a collection takes is the machine's doing and must not decide what a test sees, so
    threshold0 is not adapted (in mode idle: at its highest) and no collection is beyond the budget
    unless a test asks for it.
    """
    env = {**clean_environment(), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    for name in ("COLUMNS", "LINES"):  # of the terminal that the tests are run in, if any
        env.pop(name, None)
    env["GIT_CONFIG_GLOBAL"] = env["GIT_CONFIG_SYSTEM"] = os.devnull
    if ring_dir is not None:
        env.update(LD_PRELOAD=str(LIBRARY), GCPRELOAD_DIR=str(ring_dir), GCPRELOAD_CONF="")
        if not settings.get("GCPRELOAD_CONF"):
            env["GCPRELOAD_MODE"] = "freeze"
        env["GCPRELOAD_YOUNG_MS"] = "0"
        env["GCPRELOAD_BUDGET_MS"] = "60000"
        if settings.get("GCPRELOAD_MODE") == "idle":
            env["GCPRELOAD_PAUSE_MS"] = "60000"
    env.update(settings)
    if env.get("GCPRELOAD_MODE") == "":
        del env["GCPRELOAD_MODE"]
    return env


def run(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    stdin: bytes = b"",
    cwd: Path | None = None,
    deadline: float = DEADLINE,
) -> Completed[bytes]:
    """Runs to the end; what hangs is an error."""
    return subprocess.run(
        [str(word) for word in command],
        env=dict(env),
        input=stdin,
        cwd=cwd,
        capture_output=True,
        timeout=deadline,
        check=False,
    )


def side_by_side(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    other: Mapping[str, str],
    cwd: Path | None = None,
) -> tuple[Completed[bytes], Completed[bytes]]:
    """The same in two environments, at the same time: for what waits more than it works."""
    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, command, env, cwd=cwd)
        second = pool.submit(run, command, other, cwd=cwd)
        return first.result(), second.result()


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """Looks until there is something; generous, since the machine is shared."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {DEADLINE:.0f} s in vain for {what}; last seen: {found!r}"
            )
        time.sleep(0.03)


@contextmanager
def memory_dir() -> Iterator[Path]:
    """A fresh directory on tmpfs."""
    path = Path(tempfile.mkdtemp(prefix="gcpreload-test-", dir="/dev/shm"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def files_below(path: Path) -> list[str]:
    """Every file in it, dot files too."""
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if not p.is_dir())


def shared_library(source: str, into: Path) -> Path:
    """tests/apps/SOURCE.c as a library of the programs under test."""
    library = into / f"{source}.so"
    command = ["cc", "-Wall", "-shared", "-fPIC", "-pthread", "-o", library]
    subprocess.run([*command, APPS / f"{source}.c", "-ldl"], check=True)
    return library
