"""What `gcpreload ps --json` says."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.paths import COMMAND
from lib.run import Completed, environment, run, wait_for

GENERATIONS = 3
COUNTS = ("collections", "collected", "uncollectable")


def counted(stats: list[dict[str, Any]]) -> list[dict[str, int]]:
    """gc.get_stats() without what 3.15 has besides counts."""
    return [{name: part[name] for name in COUNTS} for part in stats]


@dataclass(frozen=True)
class Process:
    """One process as ps shows it."""

    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON has
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def counts(self) -> list[dict[str, int]]:
        """As gc.get_stats() has it: what was inherited, and what was seen since."""
        totals = counted(self.fields["inherited"])
        for part in self.fields["gc"]:
            for name in COUNTS:
                totals[part["generation"]][name] += part[name]
        return totals


def command(*arguments: str | Path) -> Completed[bytes]:
    """build/gcpreload, not under the library."""
    return run([COMMAND, *arguments], environment())


def ps(ring_dir: Path, *arguments: str) -> list[Process]:
    done = command("ps", "--json", "--dir", ring_dir, *arguments)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(
            done.returncode, "gcpreload ps", done.stdout, done.stderr
        )
    return [Process(fields) for fields in json.loads(done.stdout)]


def by_pid(ring_dir: Path, *arguments: str) -> dict[int, Process]:
    return {process.pid: process for process in ps(ring_dir, *arguments)}


def wait_for_state(ring_dir: Path, state: str, number: int = 1) -> list[Process]:
    """The living processes in that state, once there are so many."""

    def look() -> list[Process] | None:
        found = [p for p in ps(ring_dir) if p.state == state]
        return found if len(found) >= number else None

    return wait_for(f"{number} processes with state {state}", look)


def ring_files(ring_dir: Path) -> list[Path]:
    """All but the totals of those that were removed."""
    found = (p for p in ring_dir.glob("gcpreload-*/*") if p.is_file())
    return sorted(p for p in found if not p.name.startswith("retired."))
