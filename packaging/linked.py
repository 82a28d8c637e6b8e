"""What of others was linked into a program, as the linker's map tells it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# A component by where its files lie; the first that fits.
MUSL, GCC, GLIBC = "musl", "gcc", "glibc"
PLACES = ((MUSL, "/musl/"), (MUSL, "-linux-musl/"), (GCC, "/gcc"), (GLIBC, "/"))
LICENSES = {
    MUSL: "MIT",
    GCC: "GPL-3.0-or-later WITH GCC-exception-3.1",
    GLIBC: "LGPL-2.1-or-later",
}


def _component(file: str) -> str:
    path = str(Path(file).resolve())
    return next(name for name, place in PLACES if place in path)


def parts(link_map: Path) -> dict[str, list[str]]:
    """Components, and which of their files: objects, and archives of which something was taken."""
    text = link_map.read_text()
    taken = set(re.findall(r"^(/\S+\.a)\(\S+\)$", text, re.M))
    taken |= set(re.findall(r"^LOAD (/\S+\.o)$", text, re.M))
    found: dict[str, list[str]] = {}
    for file in sorted(taken):
        found.setdefault(_component(file), []).append(Path(file).name)
    return found


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


def version(component: str) -> str:
    """Of the one that is on this machine; empty where it cannot be told."""
    asked = {
        MUSL: ("dpkg-query", "-W", "-f", "${Version}", "musl-dev"),
        GCC: ("gcc", "-dumpfullversion"),
        GLIBC: ("getconf", "GNU_LIBC_VERSION"),
    }
    return _first_line(*asked[component]).rpartition(" ")[2]
