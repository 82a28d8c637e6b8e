"""The settings under which tests/apps/oracle.py runs, and how it is asked to drain there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lib.paths import APPS
from lib.run import environment

ORACLE = APPS / "oracle.py"
SMALL = {"GCPRELOAD_THRESHOLDS": "2000,keep,keep"}  # many collections
# What gc.collect() has frozen, modes freeze and idle look at only when memory has grown by half or
# gc.collect() comes again, so that is one way to drain there, and allocations without it another.
ONE_OR_THE_OTHER = ("allocate", "collect")


@dataclass(frozen=True)
class Mode:
    name: str
    settings: dict[str, str] = field(default_factory=dict)
    drains: tuple[str, ...] = ("both",)

    def environment(self, ring_dir: Path | str) -> dict[str, str]:
        if self.name == "stock":
            return environment()
        return environment(ring_dir, GCPRELOAD_MODE=self.name, **self.settings)

    def __str__(self) -> str:
        return self.name


MODES = (
    Mode("stock"),
    Mode("freeze", SMALL, ONE_OR_THE_OTHER),
    Mode("idle", SMALL, ONE_OR_THE_OTHER),
    # A mark follows the other, so that steps always meet one.
    Mode("concurrent", {"GCPRELOAD_GROWTH": "0"}),
)
LIBRARY_MODES = tuple(mode for mode in MODES if mode.name != "stock")
