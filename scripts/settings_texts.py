#!/usr/bin/env python3
"""Writes what stands elsewhere of the settings, from what the command says of them:
gcpreload.conf.example, and the table of docs/settings.md.

    scripts/settings_texts.py BUILD

BUILD is the directory of the built programs.
"""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from man import ROOT, settings

HEAD = """\
# gcpreload.conf: settings of libgcpreload. Every line here shows a default.
#
# Read from /etc/gcpreload.conf, or from the file that the environment variable GCPRELOAD_CONF
# names; never from the current directory. A variable GCPRELOAD_NAME beats the line "name".
# Lines after [glob] are for processes whose command line matches it.
"""
TAIL = """
# For instance, only watch the batch workers:
#[*celery*worker*]
#mode = observe
"""


EXAMPLE = ROOT / "gcpreload.conf.example"
PAGE = ROOT / "docs" / "settings.md"


@dataclass
class Setting:
    name: str
    help: str
    allowed: str
    default: str


def every_setting(program: Path) -> list[Setting]:
    """From lines such as HELP (ALLOWED; default: DEFAULT)."""
    found = []
    for name, about in settings(program):
        help_, _, behind = about.removesuffix(")").rpartition(" (")
        allowed, _, default = behind.partition("; default: ")
        found.append(Setting(name, help_, allowed, default))
    return found


def lines_of_example(setting: Setting) -> str:
    text = f"{setting.help[0].upper()}{setting.help[1:]} ({setting.allowed})."
    lines = textwrap.wrap(text, 80, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(["", *lines, f"#{setting.name} = {setting.default}".rstrip(), ""])


def example(program: Path) -> str:
    every = every_setting(program)
    body = [lines_of_example(one) for one in every if "environment only" not in one.help]
    return HEAD + "".join(body) + TAIL


def row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    name = f"`GCPRELOAD_{setting.name.upper()}`"
    return f"| {name} | {default} | {setting.allowed} | {setting.help} |\n"


def page(program: Path, old: str) -> str:
    """With the rows anew, below the table's head."""
    rows = "".join(row(setting) for setting in every_setting(program))
    return re.sub(r"(?<=\|---\|\n)(?:\|.*\n)*", lambda _: rows, old, count=1)


def main() -> None:
    program = Path(sys.argv[1]) / "gcpreload"
    EXAMPLE.write_text(example(program))
    PAGE.write_text(page(program, PAGE.read_text()))


if __name__ == "__main__":
    main()
