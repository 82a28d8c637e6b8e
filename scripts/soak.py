#!/usr/bin/env python3
"""The oracle and CPython's own tests under the library, until the time is over or one fails."""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from kept import Kept
from venvs import Interpreter, supported_interpreters, venv

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "integration"))

from lib import cpython
from lib.oracle import LIBRARY_MODES, MODES, ORACLE, Mode
from lib.paths import LIBRARY

ORACLE_SECONDS = 20
HANGS = 3600.0  # seconds; tests that take longer do not end
VARIANTS = ({}, {}, {"PYTHONMALLOC": "debug"}, {"PYTHONDEVMODE": "1"})


class Fault(Exception):
    pass


def run(command: list[str], env: dict[str, str], directory: str) -> tuple[int, bytes]:
    """Ends with us, however we end."""
    kept = Kept(command, env, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = kept.communicate(timeout=HANGS)
    finally:
        kept.end(1)
    return kept.returncode, output


@dataclass
class Soak:
    pythons: list[Interpreter]
    modes: list[Mode]
    begin: float
    rounds: int = 0

    def say(self, text: str) -> None:
        minutes = (time.monotonic() - self.begin) / 60
        print(f"{minutes:7.1f} min  {text}", flush=True)

    def round(self) -> None:
        """The oracle mostly; each fourth time a file of CPython's tests."""
        self.rounds += 1
        python, mode = random.choice(self.pythons), random.choice(self.modes)
        with tempfile.TemporaryDirectory(prefix="gcpreload-soak-", dir="/dev/shm") as ring_dir:
            if self.rounds % 4 == 0 and cpython.has_tests(python):
                self.suite(python, mode, ring_dir)
            else:
                self.oracle(python, mode, ring_dir)

    def oracle(self, python: Interpreter, mode: Mode, ring_dir: str) -> None:
        seed = random.randrange(1 << 32)
        size, drain = random.choice((200, 1000, 5000)), random.choice(mode.drains)
        extra = random.choice(VARIANTS)
        own = mode.environment(ring_dir)
        command = [venv("oracle", python), str(ORACLE), "--seed", str(seed), "--drain", drain]
        command += ["--size", str(size), "--seconds", str(ORACLE_SECONDS)]
        variant = " ".join(f"{name}={value}" for name, value in extra.items())
        self.say(f"{python} {mode} oracle: seed {seed}, size {size}, drain {drain} {variant}")
        status, output = run(command, {**own, **extra}, ring_dir)
        said = output.decode(errors="replace")
        if status != 0 or "\nok: " not in said:
            given = {name: own[name] for name in own if name.startswith(("GCPRELOAD_", "LD_P"))}
            given.update(extra)
            words = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
            again = " ".join([*words, shlex.join(command)])
            raise Fault(
                f"{said}\nended with {status}. To see it again (make the directory):\n{again}"
            )
        self.say("   " + said.split("\nok: ")[1].replace("\n", "; ").rstrip("; "))

    def suite(self, python: Interpreter, mode: Mode, ring_dir: str) -> None:
        name = "test_" + random.choice([*cpython.SHORT, *cpython.MORE])
        self.say(f"{python} {mode} {name}")
        try:
            results = cpython.run_tests(python, cpython.under(mode, ring_dir), name, run=run)
            new = cpython.new_failures(python, mode, ring_dir, results, run)
        except AssertionError as error:
            raise Fault(str(error)) from None
        if new:
            raise Fault(f"{results.output[-8000:]}\nfail under the library only: {sorted(new)}")
        self.say(f"   {len(results.outcomes)} tests, {len(results.failed())} of them failed")


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """As an exception, so that what runs ends and directories go."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    print("soak: interrupted", flush=True)
    raise SystemExit(128 + number)


def chosen_pythons(wanted: str) -> list[Interpreter]:
    found = [p for p in supported_interpreters() if p.minor >= (3, 8) and p.with_gil]
    if wanted:
        found = [p for p in found if str(p).startswith(wanted) or p.path == wanted]
    if not found:
        raise SystemExit(f"soak: no interpreter {wanted} of version 3.8 or later was found")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: 60)")
    parser.add_argument(
        "--python",
        default="",
        metavar="VERSION",
        help="such as 3.11 (default: all found, in turn)",
    )
    parser.add_argument(
        "--mode", choices=[mode.name for mode in MODES], help="default: all of the library's"
    )
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    if not LIBRARY.exists():
        raise SystemExit("soak: build/libgcpreload.so is missing: type make")
    modes = [mode for mode in MODES if mode.name == options.mode] or list(LIBRARY_MODES)
    soak = Soak(chosen_pythons(options.python), modes, time.monotonic())
    try:
        while time.monotonic() - soak.begin < options.minutes * 60:
            soak.round()
    except Fault as fault:
        soak.say(f"FAILED\n{fault}")
        return 1
    soak.say(f"ok: {soak.rounds} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
