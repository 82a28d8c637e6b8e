"""Draws what `scripts/bench latency --json` wrote: latency by percentile, one line a mode."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = {
    "stock": "#444444",
    "stock again": "#aaaaaa",
    "recipe": "#d95f02",
    "freeze": "#7570b3",
    "idle": "#1b9e77",
    "gc.disable()": "#1f78b4",
}
TICKS = [50, 90, 95, 99, 99.5, 99.9, 99.99]


def place(percent: float) -> float:
    """The tail is what matters: each nine has the same width."""
    return -math.log10(1 - percent / 100)


def panel(axes: Any, title: str, modes: dict[str, Any]) -> None:  # noqa: ANN401 - untyped library
    for name, figures in modes.items():
        points = [(place(p), ms) for p, ms in figures["curve_ms"] if ms is not None]
        style = "--" if name == "stock again" else "-"
        axes.plot(*zip(*points), style, label=name, color=COLOURS.get(name), linewidth=1.6)
    axes.set_title(title, fontsize=9)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    shown = max(
        place(p) for figures in modes.values() for p, ms in figures["curve_ms"] if ms is not None
    )
    ticks = [tick for tick in TICKS if place(tick) <= shown + 0.01]
    axes.set_xticks([place(tick) for tick in ticks], [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.grid(True, which="both", alpha=0.25)


def main() -> None:
    source, target = sys.argv[1:]
    with open(source) as file:
        tables = json.load(file)["tables"]
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(4.2 * columns, 3.0 * rows), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(tables) :]:
        axes.set_visible(False)
    for axes, (title, modes) in zip(grid.flat, tables.items()):
        panel(axes, title, modes)
    for line in grid:
        line[0].set_ylabel("latency, ms")
    for axes in grid[-1]:
        axes.set_xlabel("percentile of requests")
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
