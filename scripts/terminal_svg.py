#!/usr/bin/env python3
"""Makes a picture of what a terminal shows, a self-contained SVG.

    tmux capture-pane -p -e | scripts/terminal_svg.py [--title TEXT] > out.svg

Needs rich: scripts/venvs.py make tools prints a Python that has it.
"""

from __future__ import annotations

import argparse
import io
import sys

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import TerminalTheme

# Black, red, green, yellow, blue, magenta, cyan, white; then the same, bright.
NORMAL = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"]
BRIGHT = ["#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"]
FOREGROUND, BACKGROUND = "#c9d1d9", "#0d1117"

# rich's own, but for fonts that a browser would fetch.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
    font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font-family: sans-serif; font-size: 16px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def picture(captured: str, title: str = "") -> str:
    """As wide as the widest line, without empty lines at the end."""
    lines = list(AnsiDecoder().decode(captured.rstrip("\n")))  # a style goes on in the next line
    width = max([1, *(line.cell_len for line in lines)])
    console = Console(record=True, width=width, file=io.StringIO(), color_system="truecolor")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    theme = TerminalTheme(
        rgb(BACKGROUND), rgb(FOREGROUND), [rgb(c) for c in NORMAL], [rgb(c) for c in BRIGHT]
    )
    return console.export_svg(title=title, theme=theme, code_format=FORMAT)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--title", default="", help="in the window's title bar")
    options = parser.parse_args()
    captured = sys.stdin.buffer.read().decode(errors="replace")
    sys.stdout.buffer.write(picture(captured, options.title).encode())


if __name__ == "__main__":
    main()
