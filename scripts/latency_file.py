"""What a run of the latency benchmark measured, as a file: tables can be made of it again."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_common import Failed
from latency_report import Figures, Interval, Sample, figures

FORMAT = 1


@dataclass
class Run:
    """The intervals of each table, of each mode; whole rounds only."""

    about: str
    machine: dict[str, str]
    tables: dict[str, dict[str, list[Interval]]] = field(default_factory=dict)
    took: float = 0.0  # seconds so far
    left_out: list[str] = field(default_factory=list)  # what has no row, and why

    def figures(self) -> dict[str, Figures]:
        return {
            title: figures({mode: Sample(intervals) for mode, intervals in modes.items()})
            for title, modes in self.tables.items()
        }


def _packed(one: Interval) -> dict[str, Any]:
    kept = [{"cause": c["cause"], "seconds": c["seconds"]} for c in one.collections]
    latencies = [round(1e6 * value) for value in one.latencies]
    rest = {k: v for k, v in vars(one).items() if k not in ("latencies", "collections")}
    return {**rest, "latencies_us": latencies, "collections": kept}


def _unpacked(one: dict[str, Any]) -> Interval:
    rest = {key: value for key, value in one.items() if key != "latencies_us"}
    return Interval(latencies=[value / 1e6 for value in one["latencies_us"]], **rest)


def save(run: Run, path: Path) -> None:
    """Whole or not at all: it is written after every round."""
    whole = {
        "format": FORMAT,
        "about": run.about,
        "machine": run.machine,
        "took_seconds": round(run.took, 1),
        "left_out": run.left_out,
        "figures": run.figures(),
        "tables": {
            title: {mode: [_packed(one) for one in intervals] for mode, intervals in modes.items()}
            for title, modes in run.tables.items()
        },
    }
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        try:
            json.dump(whole, file, allow_nan=False)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


def load(path: Path) -> Run:
    try:
        whole = json.loads(path.read_text())
        if whole["format"] != FORMAT:
            raise Failed(f"{path}: format {whole['format']}, and not {FORMAT}")
        return Run(
            whole["about"],
            whole["machine"],
            {
                title: {mode: [_unpacked(one) for one in some] for mode, some in modes.items()}
                for title, modes in whole["tables"].items()
            },
            whole["took_seconds"],
            whole.get("left_out", []),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{path}: not what --json writes: {error}") from None
