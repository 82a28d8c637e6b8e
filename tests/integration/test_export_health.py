"""An exporter that sees nothing says so: metrics, /healthz, exit status."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.export import PROGRAM, exporting, served
from lib.metrics import fetch, one, parsed
from lib.paths import COMMAND, DEADLINE
from lib.ports import reserved_port
from lib.puppet import Puppet
from lib.rings import command, ring_files
from lib.run import environment, wait_for
from venvs import Interpreter

MAJOR = 12
READ = "gcpreload_exporter_rings"
RINGS = "gcpreload_exporter_unreadable_rings"
DIRECTORIES = "gcpreload_exporter_unreadable_directories"
LAST = "gcpreload_exporter_last_read_timestamp_seconds"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")


def health(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def later(system_python: Interpreter, ring_dir: Path) -> Iterator[Path]:
    """A ring of a version to come, whose process has ended."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
    (ring,) = ring_files(ring_dir)
    ring.chmod(0o600)
    with ring.open("r+b") as file:
        file.seek(MAJOR)
        file.write(struct.pack("=H", 2))
    ring.chmod(0o400)
    yield ring


def test_nothing_is_there_yet(ring_dir: Path) -> None:
    done = command("export", "--once", "--dir", ring_dir)
    assert done.returncode == 0
    samples = parsed(done.stdout.decode())
    assert [one(samples, name) for name in (READ, RINGS, DIRECTORIES, LAST)] == [0, 0, 0, 0]
    with exporting(ring_dir) as exporter:
        assert health(exporter.url) == (200, "ok: measurements of 0 processes were read\n")


def test_a_directory_that_is_missing(ring_dir: Path, tmp_path: Path) -> None:
    missing = ring_dir / "missing"
    for words in (["--once"], ["--textfile", tmp_path / "gc.prom"], ["--page", tmp_path / "page"]):
        done = command("export", *words, "--dir", missing)
        assert done.returncode == 1
        assert b"cannot be opened" in done.stderr
    assert one(parsed((tmp_path / "gc.prom").read_text()), DIRECTORIES) == 1
    with exporting(missing) as exporter:
        status, text = health(exporter.url)
        assert status == 503
        assert str(missing) in text
        assert one(parsed(fetch(f"{exporter.url}/metrics")[1]), DIRECTORIES) == 1
        missing.mkdir()
        assert health(exporter.url)[0] == 200


def test_one_of_two_directories_is_missing(system_python: Interpreter, ring_dir: Path) -> None:
    missing = ring_dir / "missing"
    with Puppet(system_python, ring_dir) as puppet, exporting(ring_dir, "--dir", missing) as both:
        served(puppet)
        status, text = health(both.url)
        assert (status, "measurements of 1 processes" in text) == (200, True)
        assert str(missing) in text
        samples = parsed(fetch(f"{both.url}/metrics")[1])
        assert (one(samples, READ), one(samples, DIRECTORIES)) == (1, 1)
        assert one(samples, LAST) > 1_700_000_000
        assert command("export", "--once", "--dir", ring_dir, "--dir", missing).returncode == 0


def test_a_directory_of_somebody_else(ring_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    (ring_dir / "gcpreload-65534").mkdir(mode=0o700)
    ring_dir.chmod(0o755)
    program = ["setpriv", "--reuid=65533", "--clear-groups", "--", COMMAND]
    words = ["export", "--once", "--all-users", "--dir", ring_dir]
    done = subprocess.run([*program, *words], env=environment(), capture_output=True, check=False)
    assert done.returncode == 1
    assert b"cannot be accessed" in done.stderr
    assert one(parsed(done.stdout.decode()), DIRECTORIES) == 1


def test_rings_of_another_version(later: Path, ring_dir: Path) -> None:
    done = command("export", "--once", "--dir", ring_dir)
    assert done.returncode == 1
    assert later.name in done.stderr.decode()
    with exporting(ring_dir) as exporter:
        for _ in range(2):
            status, text = health(exporter.url)
            assert status == 503
            assert "another version" in text
        samples = parsed(fetch(f"{exporter.url}/metrics")[1])
        assert (one(samples, READ), one(samples, RINGS)) == (0, 1)
        assert len(exporter.said(later.name)) == 1


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["--totals"]])
def test_they_are_not_removed(words: list[str], later: Path, ring_dir: Path) -> None:
    done = command("clean", "--dir", ring_dir, *words)
    assert done.returncode == 0
    assert f"{later}: kept, it cannot be read: a ring of another version" in done.stderr.decode()
    assert later.exists()


def test_versions(system_python: Interpreter, ring_dir: Path) -> None:
    found = set()
    settings = {"GCPRELOAD_SERVICE": "shop"}
    named = [{**settings, "OTEL_RESOURCE_ATTRIBUTES": f"service.version={v}"} for v in "112"]
    with (
        Puppet(system_python, ring_dir, extra=named[0]) as one_of_them,
        Puppet(system_python, ring_dir, extra=named[1]) as another,
        Puppet(system_python, ring_dir, extra=named[2]) as newer,
    ):
        for puppet in (one_of_them, another, newer):
            served(puppet)
        python = newer.shown().python
        for name, labels, value in parsed(
            command("export", "--once", "--dir", ring_dir).stdout.decode()
        ):
            if name == "gcpreload_service_info":
                assert value == 1
                found.add(tuple(labels.items()))
    version = command("--version").stdout.decode().split()[-1]
    assert found == {
        (
            ("service", "shop"),
            ("service_version", number),
            ("python_version", python),
            ("library_version", version),
        )
        for number in "12"
    }


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_without_a_host_both_families(ring_dir: Path) -> None:
    with reserved_port() as port:
        words = [COMMAND, "export", "--listen", f":{port}", "--dir", ring_dir]
        with subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL) as process:
            try:

                def answers(host: str) -> bool:
                    try:
                        return health(f"http://{host}:{port}")[0] == 200
                    except OSError:
                        return False

                assert wait_for("an answer", lambda: answers("127.0.0.1"))
                assert answers("[::1]") == has_ipv6()
            finally:
                process.terminate()
