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
    "concurrent": "#e7298a",
    "gc.disable()": "#1f78b4",
}
TICKS = [50, 90, 95, 99, 99.5, 99.9, 99.99]


def place(percent: float) -> float:
    """The tail is what matters: each nine has the same width."""
    return -math.log10(1 - percent / 100)


def panel(axes: Any, title: str, modes: dict[str, Any]) -> None:  # noqa: ANN401 - untyped library
    """The median of the rounds; in grey all rounds of the first mode and of it again, which is
    what a line of another mode must leave to say anything."""
    for number, (name, figures) in enumerate(modes.items()):
        curve = figures["curve_ms"]
        places = [place(point["percent"]) for point in curve]
        if number < 2:
            sides = [[point[side] for point in curve] for side in ("lowest", "highest")]
            axes.fill_between(places, *sides, color="#888888", alpha=0.2, linewidth=0)
        axes.plot(
            places,
            [point["median"] for point in curve],
            "--" if number == 1 else "-",
            label=name,
            color=COLOURS.get(name),
            linewidth=1.6,
        )
    axes.set_title(title, fontsize=9)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    shown = max(
        place(point["percent"]) for figures in modes.values() for point in figures["curve_ms"]
    )
    ticks = [tick for tick in TICKS if place(tick) <= shown + 0.01]
    axes.set_xticks([place(tick) for tick in ticks], [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.grid(True, which="both", alpha=0.25)


def main() -> None:
    source, target = sys.argv[1:]
    with open(source) as file:
        tables = json.load(file)["figures"]
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
        line[0].set_ylabel("latency, ms (median of rounds)")
    for axes in grid[-1]:
        axes.set_xlabel("percentile of requests")
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
