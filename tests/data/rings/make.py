#!/usr/bin/env python3
"""Makes a ring file of a real process for each layout of the ring, from the project's own history.

    tests/data/rings/make.py [LAYOUT]...       all of COMMITS, or these

It needs git, and what `make` needs. For each layout it builds library and command of the last
commit that wrote it, runs tests/apps/puppet.py under that library, notes what the process itself
counts and what that command says, kills the process, and keeps the file. Then that command removes
it (`gcpreload clean`), and the file with the totals of removed rings is kept, too.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PUPPET = ROOT / "tests" / "apps" / "puppet.py"

# The last commit that wrote this layout, and the newest mode that its library has.
COMMITS = {
    "1.0": ("7c8478a", "freeze"),
    "1.1": ("df7781f", "idle"),
    "1.2": ("e565834", "concurrent"),
    "1.3": ("0b274e0", "concurrent"),
}
# What was frozen becomes garbage: for mode concurrent to find, whose marker needs a moment.
STEPS = [
    "one = listen()",
    "arm(one)",
    "garbage(60000)",
    "keep(40000)",
    "arm(one)",
    "garbage(60000)",
    "KEPT.clear()",
    "gc.collect()",
    "keep(100000)",
    "arm(one)",
    "KEPT.clear()",
    *["garbage(20000)", "__import__('time').sleep(0.2)"] * 20,
    "gc.collect()",
]


class Puppet:
    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["python3", PUPPET.name],
            cwd=PUPPET.parent,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def do(self, source: str) -> object:
        self.process.stdin.write(json.dumps(source).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def build(commit: str, into: Path) -> Path:
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "x", "-C", into], input=archive.stdout, check=True)
    made = ["build/libgcpreload.so", "build/gcpreload"]
    subprocess.run(["make", "-s", "-j2", "-C", into, *made], check=True)
    return into / "build"


def keep(layout: str, file: Path, suffix: str = "") -> None:
    with gzip.GzipFile(HERE / f"{layout}{suffix}.gz", "wb", mtime=0) as packed:
        packed.write(file.read_bytes())


def make(layout: str, built: Path, rings: Path) -> None:
    commit, mode = COMMITS[layout]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GCPRELOAD_")}
    env.update(
        LD_PRELOAD=str(built / "libgcpreload.so"),
        GCPRELOAD_DIR=str(rings),
        GCPRELOAD_CONF="",
        GCPRELOAD_MODE=mode,
        GCPRELOAD_GROWTH="0",
        GCPRELOAD_SERVICE="shop",
    )
    puppet = Puppet(env)
    try:
        for step in STEPS:
            puppet.do(step)
        stats = puppet.do("(gc.disable(), gc.get_stats())[1]")
        told = subprocess.run(
            [built / "gcpreload", "ps", "--json", "--dir", rings], check=True, capture_output=True
        )
    finally:
        puppet.kill()
    (said,) = [one for one in json.loads(told.stdout) if one["pid"] == puppet.process.pid]
    ring = Path(said.pop("file"))
    keep(layout, ring)
    subprocess.run([built / "gcpreload", "clean", "--dir", rings], check=True, capture_output=True)
    for retired in ring.parent.glob("retired.*"):
        keep(layout, retired, f".{retired.name}")
    known = {"commit": commit, "ring": ring.name, "stats": stats, "said": said}
    (HERE / f"{layout}.json").write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    for layout in sys.argv[1:] or COMMITS:
        with (
            tempfile.TemporaryDirectory() as built,
            tempfile.TemporaryDirectory(dir="/dev/shm") as rings,
        ):
            make(layout, build(COMMITS[layout][0], Path(built)), Path(rings))


if __name__ == "__main__":
    main()
