#!/usr/bin/env python3
"""CPU time and memory of a process and its descendants, for the latency benchmark. Not every
descendant makes a SIGCHLD, or is known to the process: mode concurrent's copies are neither.

    latency_processes.py PID    every 0.1 s until PID is gone: the time, and the bytes that PID
                                and its descendants hold together
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path

EACH = 0.1  # seconds
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
TRIES = 100


def _file(pid: int, name: str) -> str:
    """Empty where the process is gone. A file that may not be read is an error: its process would
    be counted as nothing."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tree(root: int) -> list[int]:
    """A process and its descendants, of all its threads."""
    found = [root]
    for pid in found:  # it grows meanwhile
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
    return found


def _ticks(pid: int) -> int:
    """Of the process, and of its children that were waited for: user and system time."""
    words = _file(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, words[11:15]))


def cpu(root: int) -> float:
    """Seconds, of all of the tree and of those that it has waited for. A child that comes or goes
    in between could be counted twice, or not at all: then again."""
    for _ in range(TRIES):
        pids = tree(root)
        ticks = sum(_ticks(pid) for pid in pids)
        if tree(root) == pids:
            break
    return ticks / TICKS


def resident(pid: int) -> int:
    words = _file(pid, "statm").split()
    return int(words[1]) * PAGE if words else 0


def own(pid: int) -> int:
    """What nobody else has mapped. A page that a copy of a process shares with it counts here as
    soon as one of the two has written to it. Only this process's own memory map is locked."""
    found = re.findall(r"^Private_\w+:\s+(\d+) kB", _file(pid, "smaps_rollup"), re.M)
    return 1024 * sum(map(int, found))


def together(root: int) -> int:
    """Bytes of a process, and of what its descendants hold besides."""
    return resident(root) + sum(own(pid) for pid in tree(root)[1:])


def main() -> None:
    pid = int(sys.argv[1])
    while held := together(pid):
        print(f"{time.time():.3f} {held}", flush=True)
        time.sleep(EACH)


if __name__ == "__main__":
    main()
