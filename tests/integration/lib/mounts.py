"""May a test mount something, in a namespace of its own?"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from own_root import own_root

from lib.run import environment, run

NO_MOUNTS = "nothing can be mounted here"
MOUNT = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec env "$@"'


@functools.cache
def why_not() -> str:
    """Empty where it may. Asked first while there is one thread only."""
    if os.geteuid() != 0:
        return "only root may"
    problem = own_root()
    done = run(["unshare", "--mount", "true"], environment())
    if done.returncode == 0:
        return ""
    return problem or done.stderr.decode().strip()


def need_mounts() -> None:
    """Skips the test where not."""
    if why_not():
        pytest.skip(f"{NO_MOUNTS}: {why_not()}")


def mounted(ring_dir: Path, size: int, env: dict[str, str]) -> list[str | Path]:
    """A file system of its own, for what follows; the settings are for that alone."""
    need_mounts()
    words = [f"{k}={v}" for k, v in env.items() if k[:3] in ("LD_", "GCP")]
    return ["unshare", "-m", "sh", "-ec", MOUNT, "sh", f"size={size}", ring_dir, *words]


def summary(skipped: list[pytest.TestReport]) -> str:
    """Of what did not run for that: a line, or nothing."""
    number = sum(NO_MOUNTS in str(report.longrepr) for report in skipped)
    if not number:
        return ""
    tests = "1 test was" if number == 1 else f"{number} tests were"
    return f"{tests} skipped: {NO_MOUNTS}: {why_not()}"
