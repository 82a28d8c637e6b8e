#!/usr/bin/env python3
"""Prints gcpreload.conf.example, from what the command says of its settings.

scripts/example.py BUILD > gcpreload.conf.example
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from man import settings

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


def shown(name: str, about: str) -> str:
    """about: HELP (ALLOWED; default: DEFAULT)"""
    help_, _, behind = about.removesuffix(")").rpartition(" (")
    allowed, _, default = behind.partition("; default: ")
    text = f"{help_[0].upper()}{help_[1:]} ({allowed})."
    lines = textwrap.wrap(text, 80, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(["", *lines, f"#{name} = {default}".rstrip(), ""])


def main() -> None:
    every = settings(Path(sys.argv[1]) / "gcpreload")
    body = [shown(*one) for one in every if "environment only" not in one[1]]
    print(HEAD + "".join(body) + TAIL, end="")


if __name__ == "__main__":
    main()
