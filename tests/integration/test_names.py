"""Functions of the command: a name says what it is about, and stands for one thing."""

from __future__ import annotations

import re
from collections import defaultdict

from lib.paths import ROOT

# At the beginning of a line, with its arguments, before a brace on a line of its own.
FUNCTION = re.compile(r"^\w[\w \*]*?[ \*](?!ElfW)(\w+)\([^;{}]*?\)\n\{", re.M)
# What the whole command calls, and the start of each program.
SHARED = {"main", "need", "complain", "finding"}


def functions() -> dict[str, list[str]]:
    """Where each is defined."""
    found = defaultdict(list)
    for path in sorted((ROOT / "cli").rglob("*.c")):
        for match in FUNCTION.finditer(path.read_text()):
            found[match[1]].append(str(path.relative_to(ROOT)))
    return found


def test_no_function_is_a_single_word() -> None:
    found = functions()
    assert len(found) > 500
    assert {name: where for name, where in found.items() if "_" not in name} == {
        name: found[name] for name in SHARED
    }


def test_no_name_is_in_two_files() -> None:
    found = functions().items()
    assert {n: where for n, where in found if len(where) > 1 and n != "main"} == {}
