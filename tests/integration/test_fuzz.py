"""Hostile files: a moment of libFuzzer in every run, from seeds in the tree and from a real ring.
A crash leaves its input in the temporary directory, and its path in the output."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from lib.paths import BUILD, DEADLINE, ROOT
from lib.puppet import Puppet
from lib.rings import command, ring_files
from lib.run import environment
from venvs import Interpreter


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    if not shutil.which("clang"):
        pytest.skip("clang is missing")
    subprocess.run(["make", "-s", "-C", ROOT, "fuzz"], check=True, timeout=20 * DEADLINE)


def fuzz(name: str, corpus: Path, runs: int) -> None:
    program = BUILD / "fuzz" / f"fuzz_{name}"
    options = [f"-runs={runs}", "-seed=1", "-timeout=60", "-close_fd_mask=3"]
    done = subprocess.run(
        [program, *options, corpus],
        cwd=corpus.parent,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-5000:]


def test_reports(tmp_path: Path) -> None:
    corpus = Path(shutil.copytree(ROOT / "tests" / "fuzz" / "corpus" / "json", tmp_path / "json"))
    fuzz("json", corpus, 100000)


def test_settings(tmp_path: Path) -> None:
    seeds = ROOT / "tests" / "fuzz" / "corpus" / "settings"
    fuzz("settings", Path(shutil.copytree(seeds, tmp_path / "settings")), 30000)


def with_marks(ring: bytes) -> bytes:
    """ring/layout.h: struct gcpreload_marks and the last 16 marks; any numbers."""
    told = struct.pack("<20Q", *range(1, 21))
    kept = b"".join(
        struct.pack("<12Q2I3Q", n + 1, *range(11), n % 4, n % 5, 0, 0, 0) for n in range(16)
    )
    return ring[:1512] + told + ring[1672:2048] + kept + ring[4096:]


def with_hits(ring: bytes) -> bytes:
    """struct gcpreload_hit, 48 of them before the slots; the flag of each slot."""
    (slots,) = struct.unpack_from("<I", ring, 56)
    kept = b"".join(
        struct.pack(
            "<4Q24s4BI", n + 1, n + 1, n, 1 << n, bytes(range(24)), n % 3, n % 9, n % 4, 1, n
        )
        for n in range(48)
    )
    flags = bytearray(ring[slots:])
    flags[47::64] = b"\1" * len(flags[47::64])
    return ring[: slots - len(kept)] + kept + bytes(flags)


def test_rings(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "rings"
    corpus.mkdir()
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(100000)", "gc.collect()")
        (ring,) = [path for path in ring_files(ring_dir) if f"/{puppet.pid}." in str(path)]
        whole = ring.read_bytes()
    (corpus / "whole").write_bytes(whole)
    (corpus / "cut").write_bytes(whole[:3000])
    (corpus / "header").write_bytes(whole[:100])
    (corpus / "marks").write_bytes(with_marks(whole))
    (corpus / "hits").write_bytes(with_hits(whole))
    fuzz("ring", corpus, 600)


def test_totals(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "totals"
    corpus.mkdir()
    for service in ("", "shop"):
        with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=service) as puppet:
            puppet.do("one = listen()", "arm(one)", "garbage(100000)", "gc.collect()")
        assert command("clean", "--dir", ring_dir).returncode == 0
    files = list(ring_dir.glob("gcpreload-*/retired.*"))
    assert len(files) == 2
    for number, path in enumerate(files):
        (corpus / f"whole{number}").write_bytes(path.read_bytes())
        (corpus / f"cut{number}").write_bytes(path.read_bytes()[:3000])
    fuzz("retired", corpus, 600)
