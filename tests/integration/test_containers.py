"""Containers: mount and pid namespaces of their own, found while the exporter runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.export import PROGRAM, exporting
from lib.metrics import LABEL, by_generation, fetch, once, one, parsed
from lib.mounts import mounted, need_mounts
from lib.paths import APPS
from lib.puppet import Puppet
from lib.rings import Process, command
from lib.run import environment, memory_dir, wait_for
from venvs import Interpreter

SIZE = 4 << 20
ATTACHED = 192  # where the time is in a ring (ring/layout.h)
COLLECTIONS = "gcpreload_gc_collections_total"

needs_export = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")


@contextlib.contextmanager
def container(python: Interpreter, ring_dir: Path) -> Iterator[Puppet]:
    """Ready, in a mount namespace of its own."""
    program = mounted(ring_dir, SIZE, environment(ring_dir, GCPRELOAD_SERVICE="shop"))
    with Puppet(python, None, program=[*program, python.path, APPS / "puppet.py"]) as puppet:
        puppet.do("one = listen()", "arm(one)", "gc.collect()", "gc.disable()")
        assert puppet.frozen()
        yield puppet


def counted(puppet: Puppet, ring_dir: Path) -> list[int]:
    root = f"/proc/{puppet.pid}/root"
    done = command("ps", "--json", "--root", root, "--dir", ring_dir)
    (process,) = map(Process, json.loads(done.stdout))
    assert process.pid == puppet.pid
    found: Counter[int] = Counter()
    for part in process.gc:
        found[part["generation"]] += part["collections"]
    return [found[generation] for generation in range(3)]


@needs_export
def test_they_are_found_while_it_runs(system_python: Interpreter, ring_dir: Path) -> None:
    """The second comes later, the first is started again: counts go on."""
    with exporting(ring_dir, "--all-containers") as exporter:
        url = f"{exporter.url}/metrics"
        assert one(parsed(fetch(url)[1]), "gcpreload_exporter_rings") == 0
        with container(system_python, ring_dir) as first:
            before = counted(first, ring_dir)
            assert by_generation(parsed(fetch(url)[1]), COLLECTIONS) == before
            with container(system_python, ring_dir) as second:
                both = [sum(each) for each in zip(before, counted(second, ring_dir))]
                assert by_generation(parsed(fetch(url)[1]), COLLECTIONS) == both
                first.process.kill()
                first.process.wait()
                samples = parsed(fetch(url)[1])
                assert by_generation(samples, COLLECTIONS) == both
                assert one(samples, "gcpreload_tuned_processes") == 1
                with container(system_python, ring_dir) as again:
                    three = [sum(each) for each in zip(both, counted(again, ring_dir))]
                    samples = parsed(fetch(url)[1])
                    assert by_generation(samples, COLLECTIONS) == three
                    assert one(samples, "gcpreload_tuned_processes") == 2
                    assert one(samples, "gcpreload_exporter_unreadable_directories") == 0


def test_commands_for_all_of_them(system_python: Interpreter, ring_dir: Path) -> None:
    with container(system_python, ring_dir) as first, container(system_python, ring_dir) as second:
        all_of_them = ["--all-containers", "--dir", ring_dir]
        listed = json.loads(command("ps", "--json", *all_of_them).stdout)
        assert {process["pid"] for process in listed} == {first.pid, second.pid}
        assert len(listed) == 2
        report = json.loads(command("report", "--json", *all_of_them).stdout)
        assert len(report["processes"]) == 2
        assert command("ps", "--dir", ring_dir).stdout.decode().count("\n") == 1
        root = f"/proc/{first.pid}/root"
        command("set", "--all", "mode=off", "--root", root, "--dir", ring_dir, "--timeout", "0")

        def states() -> list[str]:
            for puppet in (first, second):
                puppet.do("arm(one)")
            found = json.loads(command("ps", "--json", *all_of_them).stdout)
            states = {process["pid"]: process["state"] for process in found}
            return [states[first.pid], states[second.pid]]

        wait_for("the first one's answer", lambda: states() == ["off", "ready"])
        command("set", "--service", "shop", "mode=off", *all_of_them, "--timeout", "0")
        wait_for("both answers", lambda: states() == ["off", "off"])


def test_one_directory_that_two_see_counts_once(
    system_python: Interpreter, ring_dir: Path
) -> None:
    """As services with a /tmp of their own do."""
    need_mounts()
    env = environment(ring_dir)
    words = [f"{k}={v}" for k, v in env.items() if k[:3] in ("LD_", "GCP")]
    program = ["unshare", "-m", "env", *words, system_python.path, APPS / "puppet.py"]
    with Puppet(system_python, None, program=program) as puppet:
        puppet.do("one = listen()", "arm(one)")
        listed = json.loads(command("ps", "--json", "--all-containers", "--dir", ring_dir).stdout)
        assert [process["pid"] for process in listed] == [puppet.pid]


@needs_export
@pytest.mark.parametrize("style", [[], ["--compat-names"]])
def test_process_1_of_two_containers(
    style: list[str], system_python: Interpreter, ring_dir: Path
) -> None:
    """Each series once, also where host names are alike and cgroups are hidden."""
    need_mounts()
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(memory_dir())
        for place in (ring_dir, other):
            env = environment(place, GCPRELOAD_SERVICE="shop")
            words = [f"{k}={v}" for k, v in env.items() if k[:3] in ("LD_", "GCP")]
            program = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "env", *words]
            app = [system_python.path, APPS / "puppet.py"]
            puppet = stack.enter_context(Puppet(system_python, None, program=[*program, *app]))
            puppet.do("one = listen()", "arm(one)", "gc.collect()")
            assert puppet.collector()["pid"] == 1
        done = command(
            *("export", "--once", "--per-process", "--dir", ring_dir, "--dir", other), *style
        )
    lines = [line.rpartition(" ")[0] for line in done.stdout.decode().splitlines()]
    series = Counter(line for line in lines if not line.startswith("#"))
    assert [line for line, number in series.items() if number > 1] == []
    found = {
        tuple(dict(LABEL.findall(line))[name] for name in ("host", "pid", "container"))
        for line in series
        if line.startswith("gcpreload_tuned_processes")
    }
    assert {(host, pid) for host, pid, _ in found} == {(os.uname().nodename, "1")}
    assert len(found) == 2


def test_options_that_exclude_each_other(ring_dir: Path) -> None:
    if not PROGRAM.exists():
        pytest.skip("libmicrohttpd-dev is missing")
    done = command("export", "--once", "--all-containers", "--root", ring_dir)
    assert done.returncode == 2
    assert b"--all-containers" in done.stderr


@needs_export
def test_containers_come_and_go(system_python: Interpreter, ring_dir: Path) -> None:
    """More in its life than an exporter knows apart: all of them still count."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "gc.collect()")
        assert puppet.shown().state == "ready"
    (directory,) = ring_dir.iterdir()
    (ring,) = directory.iterdir()
    content = bytearray(ring.read_bytes())
    counts = by_generation(once(ring_dir), COLLECTIONS)
    with exporting(ring_dir) as exporter:
        for number in range(1, 1101):
            if number % 100 == 0 or number < 3:
                samples = parsed(fetch(f"{exporter.url}/metrics")[1])
                assert by_generation(samples, COLLECTIONS) == [number * each for each in counts]
            else:
                fetch(f"{exporter.url}/healthz")
            directory.rename(ring_dir / "gone")
            directory.mkdir(mode=0o700)
            (attached,) = struct.unpack_from("=Q", content, ATTACHED)
            struct.pack_into("=Q", content, ATTACHED, attached - 1)  # another process's
            (directory / ring.name).write_bytes(content)
            shutil.rmtree(ring_dir / "gone")
        assert exporter.said("ignored") == []
