#!/usr/bin/env python3
"""Writes the manual pages as scdoc(5) text, from what the programs say of themselves: a page for
the command, one for each sub-command, one for the settings.

    scripts/man.py BUILD INTO

BUILD is the directory of the built programs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTION = re.compile(r"^  --([a-z-]+) +(.*(?:\n {21}.*)*)", re.M)


def said(program: Path, *words: str) -> str:
    return subprocess.run(
        [program, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip("\n")


def escaped(text: str) -> str:
    return re.sub(r"([\\_*<>#`\[\]~-])", r"\\\1", text)


def settings(program: Path) -> list[tuple[str, str]]:
    """Name, and the help with what is allowed and the default."""
    found = OPTION.findall(said(program, "run", "--help"))
    return [(option.replace("-", "_"), " ".join(text.split())) for option, text in found]


def sub_commands(program: Path) -> dict[str, str]:
    """Each with its summary; the programs beside it are in its list, too."""
    return dict(re.findall(r"^  ([a-z]+) +(\S.*)$", said(program, "--help"), re.M))


def literal(text: str) -> str:
    return f"```\n{text}\n```\n"


def page_of(program: Path, name: str, summary: str) -> str:
    return f"""gcpreload-{name}(1)

# NAME

gcpreload-{name} - {escaped(summary)}

# SYNOPSIS AND OPTIONS

{literal(said(program, name, "--help"))}
# SEE ALSO

*gcpreload*(1), *gcpreload.conf*(5)
"""


def main_page(program: Path, commands: dict[str, str]) -> str:
    also = ", ".join(f"*gcpreload-{name}*(1)" for name in commands)
    return f"""gcpreload(1)

# NAME

gcpreload - Python web services without the pauses of Python's garbage collector

# SYNOPSIS

{literal(said(program, "--help"))}
# DESCRIPTION

The library libgcpreload.so, named in LD\\_PRELOAD, finds the moment when a Python server is
ready, collects, freezes and raises the thresholds of its cyclic garbage collector, and writes the
timing of every collection into shared memory. This command starts servers under it, and shows
what happened. The environment variables that the library reads are in *gcpreload.conf*(5).

# SEE ALSO

{also}, *gcpreload.conf*(5)
"""


def settings_page(program: Path) -> str:
    lines = []
    for name, help_ in settings(program):
        names = f"*{escaped('GCPRELOAD_' + name.upper())}*, *{escaped(name)}*"
        lines.append(f"{names}\n\t{escaped(help_[0].upper() + help_[1:])}.\n")
    every = "\n".join(lines)
    return f"""gcpreload.conf(5)

# NAME

gcpreload.conf - settings of libgcpreload

# DESCRIPTION

Settings come from environment variables and from the file */etc/gcpreload.conf*, or the one
that GCPRELOAD\\_CONF names; never from the current directory. A variable GCPRELOAD\\_NAME beats
the line "name = value". Lines after \\[glob\\] are for processes whose command line matches it.
A value that cannot be used is said in one line on standard error, and the default is used.

# SETTINGS

{every}
# SEE ALSO

*gcpreload*(1)
"""


def main() -> None:
    program, into = Path(sys.argv[1]) / "gcpreload", Path(sys.argv[2])
    into.mkdir(parents=True, exist_ok=True)
    commands = sub_commands(program)
    (into / "gcpreload.1.scd").write_text(main_page(program, commands))
    (into / "gcpreload.conf.5.scd").write_text(settings_page(program))
    for name, summary in commands.items():
        (into / f"gcpreload-{name}.1.scd").write_text(page_of(program, name, summary))


if __name__ == "__main__":
    main()
