"""scripts/own_root.py: mounts of one's own in a chroot that is no mount point."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.debian import other_debian
from lib.mounts import need_mounts
from lib.paths import ROOT
from lib.run import Completed, environment, run

OWN_ROOT = ROOT / "scripts" / "own_root.py"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# A namespace that passes on what is mounted in it, as a system's first one does.
IN_A_CHROOT = """
mount --make-rshared /
mkdir -p "$0/proc"
mount --bind /proc "$0/proc"
before=$(wc -l </proc/self/mountinfo)
chroot "$0" "$@" || exit
test "$before" = "$(wc -l </proc/self/mountinfo)" || echo "a mount was passed on"
"""


@pytest.fixture
def chroot() -> Iterator[Path]:
    """A Debian 11 with own_root.py in it."""
    need_mounts()
    root = other_debian("debian11")
    script = root / f"own_root-{os.getpid()}.py"
    script.write_text(OWN_ROOT.read_text())
    yield root
    script.unlink()


def in_a_chroot(root: Path, *command: str) -> Completed[bytes]:
    words = ["unshare", "--mount", "sh", "-euc", IN_A_CHROOT, root, *command]
    return run(words, environment(PATH=PATH))


def test_mounts_in_a_chroot(chroot: Path) -> None:
    may = ["unshare", "--mount", "sh", "-ec", "mount -t tmpfs none /mnt; ls /mnt; pwd"]
    done = in_a_chroot(chroot, *may)
    assert done.returncode != 0
    assert b"propagation" in done.stderr
    script = f"/own_root-{os.getpid()}.py"
    enter = ["sh", "-ec", 'cd /usr/lib; exec "$@"', "sh", "python3", script]
    done = in_a_chroot(chroot, *enter, *may)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"/usr/lib\n")
    # It sees what it saw before.
    done = in_a_chroot(chroot, *enter, "sh", "-c", "ls /; cat /etc/debian_version")
    assert done.stdout.startswith(b"bin\n")
    assert b"\n11." in done.stdout


def test_it_stays_as_it_is_where_it_may_not(chroot: Path) -> None:
    script = f"/own_root-{os.getpid()}.py"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    done = in_a_chroot(chroot, *nobody, "python3", script, "sh", "-c", "pwd; id -u")
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"/\n65534\n")


def test_nothing_is_done_where_it_is_one() -> None:
    here = os.readlink("/proc/self/ns/mnt")
    done = run([sys.executable, OWN_ROOT, "readlink", "/proc/self/ns/mnt"], environment())
    assert done.stdout.decode().strip() == here


def test_what_cannot_run_is_said_in_one_line(tmp_path: Path) -> None:
    """With how many and why; not by the lines of single tests alone."""
    if os.geteuid() != 0:
        pytest.skip("others may mount nothing anyway")
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: not today' >&2\nexit 1\n")
    fake.chmod(0o755)
    env = environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
    words = ["-m", "pytest", "-p", "no:cacheprovider", "tests/integration/test_bad_input.py"]
    done = run([sys.executable, *words, "-k", "full_or_read_only"], env, cwd=ROOT)
    lines = re.findall(r"^\d+ tests? w.*", done.stdout.decode(), re.M)
    assert lines == ["3 tests were skipped: nothing can be mounted here: unshare: not today"]
