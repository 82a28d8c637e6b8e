"""Rings of every layout that was ever written, and of some to come; tests/data/rings has them."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib.export import PROGRAM, exporting
from lib.metrics import by_generation, fetch, one, parsed
from lib.paths import ROOT, SET_UP_DEADLINE
from lib.puppet import Puppet
from lib.rings import Process, command, ps
from lib.run import environment, run, wait_for
from venvs import Interpreter

DATA = ROOT / "tests" / "data" / "rings"
LAYOUTS = sorted(path.stem for path in DATA.glob("*.json"))
COLLECTIONS = "gcpreload_gc_collections_total"
# Offsets of ring/layout.h.
MAJOR, MINOR, SIZES, HITS_OFFSET = 12, 14, 16, 1800
HITS = 48 * 64
OF_TIME = ("file", "gc_time_share")
needs_export = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def known(layout: str) -> dict[str, Any]:
    return json.loads((DATA / f"{layout}.json").read_text())


def ring_of(layout: str) -> bytes:
    return gzip.decompress((DATA / f"{layout}.gz").read_bytes())


@contextlib.contextmanager
def placed(ring_dir: Path, rings: dict[str, bytes]) -> Iterator[Path]:
    """Each as if its process lived: whoever holds the lock does."""
    directory = ring_dir / f"gcpreload-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for name, content in rings.items():
            (directory / name).write_bytes(content)
            file = stack.enter_context((directory / name).open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield directory


def one_placed(ring_dir: Path, layout: str) -> contextlib.AbstractContextManager[Path]:
    return placed(ring_dir, {known(layout)["ring"]: ring_of(layout)})


def seen(layout: str) -> list[int]:
    """Collections of each generation, without those of before the library came."""
    found: Counter[int] = Counter()
    for part in known(layout)["said"]["gc"]:
        found[part["generation"]] += part["collections"]
    return [found[generation] for generation in range(3)]


def assert_shown(process: Process, layout: str) -> None:
    """As the process itself and the command of its time said."""
    then = known(layout)
    assert process.counts() == then["stats"]
    for name, value in then["said"].items():
        if name in OF_TIME:
            continue
        now = process.fields[name]
        if isinstance(value, dict):  # a later one may say more
            now = {key: now[key] for key in value}
        assert now == value, name


def test_the_newest_is_there() -> None:
    """Whoever changes the layout keeps a ring of the one before."""
    header = (ROOT / "ring" / "layout.h").read_text()
    (minor,) = (
        line.split()[2]
        for line in header.splitlines()
        if line.startswith("#define GCPRELOAD_RING_MINOR")
    )
    assert [f"1.{n}" for n in range(int(minor) + 1)] == LAYOUTS
    for layout in LAYOUTS:
        version = struct.unpack_from("<2H", ring_of(layout), MAJOR)
        assert ".".join(map(str, version)) == layout


@each_layout
def test_commands_read_it(layout: str, ring_dir: Path) -> None:
    said = known(layout)["said"]
    with one_placed(ring_dir, layout):
        (process,) = ps(ring_dir)
        assert_shown(process, layout)
        table = command("ps", "--dir", ring_dir)
        row = table.stdout.decode().splitlines()[1].split()
        assert row[0] == str(said["pid"])
        assert "/".join(map(str, seen(layout))) in row
        report = command("report", "--json", "--dir", ring_dir)
        (reported,) = json.loads(report.stdout)["processes"]
        assert reported["pid"] == said["pid"]
        text = command("report", "--dir", ring_dir)
        assert str(said["pid"]) in text.stdout.decode()
        trace = command("trace", "-o", "-", "--last", "--for", "0.1", "--dir", ring_dir)
        slices = [
            event for event in json.loads(trace.stdout) if event["ph"] == "X" and event["tid"] < 3
        ]
        assert len(slices) == said["events"] - said["events_lost"]
        for done in (table, report, text, trace):
            assert (done.returncode, done.stderr) == (0, b"")


@needs_export
@each_layout
def test_the_exporter_reads_it(layout: str, ring_dir: Path) -> None:
    with one_placed(ring_dir, layout), exporting(ring_dir) as exporter:
        samples = parsed(fetch(f"{exporter.url}/metrics")[1])
        assert by_generation(samples, COLLECTIONS) == seen(layout)
        assert one(samples, "gcpreload_exporter_unreadable_rings") == 0
        page = json.loads(fetch(f"{exporter.url}/data.json?history")[1])
        assert [process["pid"] for process in page["processes"]] == [known(layout)["said"]["pid"]]
        assert "newer" not in exporter.errors()


@needs_export
@pytest.mark.parametrize("file", sorted(DATA.glob("*.retired.*.gz")), ids=lambda file: file.name)
def test_totals_of_removed_rings(file: Path, ring_dir: Path) -> None:
    layout, name = file.name.removesuffix(".gz").split(".retired.")
    totals = gzip.decompress(file.read_bytes())
    with placed(ring_dir, {f"retired.{name}": totals}), exporting(ring_dir) as exporter:
        samples = parsed(fetch(f"{exporter.url}/metrics")[1])
        assert by_generation(samples, COLLECTIONS) == seen(layout)


def test_all_of_them_together(ring_dir: Path) -> None:
    """Versions are mixed while a service is upgraded."""
    rings = {known(layout)["ring"]: ring_of(layout) for layout in LAYOUTS}
    with placed(ring_dir, rings):
        shown = {process.pid: process for process in ps(ring_dir)}
        assert len(shown) == len(LAYOUTS)
        for layout in LAYOUTS:
            assert_shown(shown[known(layout)["said"]["pid"]], layout)
        report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
        assert len(report["processes"]) == len(LAYOUTS)


def later_minor(ring: bytes) -> bytes:
    """1.9: header, series and slots are longer, and there is one more cause."""
    header = bytearray(ring[:4096])
    sizes = list(struct.unpack_from("<8I2i3I", header, SIZES))
    _, _, at, series, periods, generations, causes, buckets, scale, first = sizes[:10]
    slots_at, slot, n_slots = sizes[10:]
    part = periods * generations
    all_series, longer = b"", b"\xff" * 64
    for number in range(part):
        for cause in range(causes):
            place = at + (number * causes + cause) * series
            all_series += ring[place : place + series] + longer
        all_series += bytes(series) + longer
    (hits_at,) = struct.unpack_from("<I", header, HITS_OFFSET)
    all_slots = b"".join(
        ring[place : place + slot] + longer
        for place in range(slots_at, slots_at + n_slots * slot, slot)
    )
    new_slots_at = 8192 + len(all_series) + HITS
    total = new_slots_at + len(all_slots)
    struct.pack_into("<H", header, MINOR, 9)
    sizes = [8192, total, 8192, series + 64, periods, generations, causes + 1, buckets]
    struct.pack_into(
        "<8I2i3I", header, SIZES, *sizes, scale, first, new_slots_at, slot + 64, n_slots
    )
    struct.pack_into("<I", header, HITS_OFFSET, 8192 + len(all_series))
    return bytes(header) + b"\xff" * 4096 + all_series + ring[hits_at : hits_at + HITS] + all_slots


def test_a_later_minor_version_is_read_and_said(ring_dir: Path) -> None:
    newest = LAYOUTS[-1]
    later = later_minor(ring_of(newest))
    with placed(ring_dir, {known(newest)["ring"]: later, **{"1.2.3": later}}):
        for words in (["ps", "--json"], ["ps"], ["report"], ["report", "--json"]):
            done = command(*words, "--dir", ring_dir)
            assert done.returncode == 0
            assert done.stderr.count(b"\n") == 1, done.stderr
            assert b"measurements of a newer libgcpreload (0.1.0)" in done.stderr
        for fields in json.loads(command("ps", "--json", "--dir", ring_dir).stdout):
            assert_shown(Process(fields), newest)
        if not PROGRAM.exists():
            return
        with exporting(ring_dir) as exporter:
            for _ in range(2):
                samples = parsed(fetch(f"{exporter.url}/metrics")[1])
            assert by_generation(samples, COLLECTIONS) == [2 * n for n in seen(newest)]
            assert len(exporter.said("newer libgcpreload")) == 1


def test_a_later_major_version_is_refused_and_kept(ring_dir: Path) -> None:
    newest = LAYOUTS[-1]
    ring = bytearray(ring_of(newest))
    ring[7:8] = b"2"
    struct.pack_into("<2H", ring, MAJOR, 2, 0)
    said = "a ring of another version: use that version's gcpreload"
    with placed(ring_dir, {known(newest)["ring"]: bytes(ring)}) as directory:
        done = command("ps", "--json", "--dir", ring_dir)
        (fields,) = json.loads(done.stdout)
        assert (fields["state"], fields["reason"]) == ("unreadable", said)
        assert said in command("ps", "--dir", ring_dir).stdout.decode()
    # Nobody holds its lock now.
    command("clean", "--dir", ring_dir)
    assert (directory / known(newest)["ring"]).read_bytes() == ring


@pytest.fixture(scope="module")
def oldest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library and command of the last version that wrote layout 1.0."""
    if not request.config.getoption("--all"):
        pytest.skip("built with --all only")
    into = tmp_path_factory.mktemp("oldest")
    commit = known("1.0")["commit"]
    packed = subprocess.run(
        ["git", "-C", ROOT, "archive", commit], capture_output=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip("no git history here")
    subprocess.run(["tar", "x", "-C", into], input=packed.stdout, check=True)
    made = ["build/gcpreload", "build/libgcpreload.so"]
    done = run(["make", "-s", "-C", into, *made], environment(), deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    return into / "build"


def test_an_older_command_and_a_newer_library(
    oldest: Path, system_python: Interpreter, ring_dir: Path
) -> None:
    words = [oldest / "gcpreload", "ps", "--json", "--dir", ring_dir]
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()")
        (fields,) = json.loads(run(words, environment()).stdout)
        assert (fields["pid"], fields["state"]) == (puppet.pid, "ready")
        assert Process(fields).counts() == puppet.do("gc.get_stats()")
        told = [oldest / "gcpreload", "set", str(puppet.pid), "mode=off", "--dir", ring_dir]
        run([*told, "--timeout", "0"], environment())
        puppet.wait_for("off", "arm(one)", "gc.enable()", "garbage(1000)")


def test_a_newer_command_and_an_older_library(
    oldest: Path, system_python: Interpreter, ring_dir: Path
) -> None:
    library = str(oldest / "libgcpreload.so")
    with Puppet(system_python, ring_dir, LD_PRELOAD=library) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()")
        assert puppet.shown().counts() == puppet.do("gc.get_stats()")
        command("set", str(puppet.pid), "mode=off", "--dir", ring_dir, "--timeout", "0")
        puppet.do("gc.enable()")
        wait_for(
            "off", lambda: puppet.do("arm(one)", "garbage(1000)") or puppet.shown().state == "off"
        )
