"""A ring that a cleaner removes is made anew; one for which there was no space is made later."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.collector import COLLECTIONS as OTLP_COLLECTIONS
from lib.collector import DELTAS, FAST, Collector
from lib.collector import by_generation as otlp_by_generation
from lib.export import PROGRAM, exporting, own
from lib.metrics import by_generation, fetch, once, one, parsed
from lib.paths import COMMAND
from lib.puppet import Puppet
from lib.rings import by_pid, command, ring_files
from lib.run import environment, wait_for
from lib.server import gunicorn
from venvs import Interpreter

COLLECTIONS = "gcpreload_gc_collections_total"
ARMED = ("one = listen()", "arm(one)")
WORK = ("garbage(3000)", "arm(one)")

needs_export = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")


def the_file(ring_dir: Path) -> None:
    """A cleaner's way, or an operator's."""
    (ring,) = ring_files(ring_dir)
    ring.unlink()


def the_directory(ring_dir: Path) -> None:
    """systemd's, with RemoveIPC=yes."""
    for directory in ring_dir.glob("gcpreload-*"):
        shutil.rmtree(directory)


REMOVED = pytest.mark.parametrize("remove", [the_file, the_directory])


def made_anew(puppet: Puppet, ring_dir: Path) -> None:
    def look() -> bool:
        puppet.do(*WORK)
        return bool(ring_files(ring_dir))

    assert wait_for("a new ring", look)


@REMOVED
def test_it_is_made_anew_and_goes_on(
    remove: Callable[[Path], None], python: Interpreter, ring_dir: Path
) -> None:
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED)
        before = puppet.wait_for("ready", *WORK)
        remove(ring_dir)
        assert puppet.pid not in by_pid(ring_dir)
        lost = by_pid(ring_dir, "--all")[puppet.pid]
        assert (lost.state, "was removed" in lost.reason) == ("no-ring", True)
        for words in (["set", "mode=off", str(puppet.pid)], ["doctor", "--pid", str(puppet.pid)]):
            place = [] if words[0] == "doctor" else ["--dir", ring_dir]
            done = command(*words, *place)
            assert done.returncode in (1, 3)  # doctor: it may be tuned
            assert b"its measurement file was removed" in done.stdout + done.stderr
        made_anew(puppet, ring_dir)
        after = puppet.shown()
        assert (after.state, after.fired) == ("ready", before.fired)
        puppet.do("gc.disable()")
        shown = puppet.shown()
        assert shown.counts() == [
            {name: part[name] for name in ("collections", "collected", "uncollectable")}
            for part in puppet.do("gc.get_stats()")
        ]
        puppet.do("gc.enable()")
        told = command("set", str(puppet.pid), "mode=off", "--dir", ring_dir, "--timeout", "0")
        assert b"no measurements" not in told.stderr
        assert puppet.wait_for("off", *WORK)


@REMOVED
def test_while_it_observes(
    remove: Callable[[Path], None], system_python: Interpreter, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="observe") as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("observing", *WORK)
        remove(ring_dir)
        made_anew(puppet, ring_dir)


def test_without_a_wait(system_python: Interpreter, ring_dir: Path) -> None:
    """A worker that does not listen (Celery's) only collects."""
    with Puppet(system_python, ring_dir, GCPRELOAD_TRIGGER="delay:0") as puppet:
        puppet.wait_for("ready", "garbage(60000)")
        the_file(ring_dir)

        def look() -> bool:
            puppet.do("garbage(60000)")
            return bool(ring_files(ring_dir))

        assert wait_for("a new ring", look)


@needs_export
@REMOVED
def test_nothing_counts_twice(
    remove: Callable[[Path], None], system_python: Interpreter, ring_dir: Path
) -> None:
    """In an exporter that had the old ring open, in one that begins, and after the end."""

    def exact(text: str, expected: list[int]) -> None:
        assert by_generation(parsed(text), COLLECTIONS) == expected

    with exporting(ring_dir) as exporter:
        url = exporter.url + "/metrics"
        with Puppet(system_python, ring_dir) as puppet:
            puppet.do(*ARMED)
            puppet.wait_for("ready", *WORK)
            for _ in range(2):
                puppet.do("gc.disable()", "gc.collect()")
                exact(fetch(url)[1], own(puppet)["collections"])
                expected = own(puppet)["collections"]
                remove(ring_dir)
                exact(fetch(url)[1], expected)  # it still counts, without a name
                puppet.do("gc.enable()")
                made_anew(puppet, ring_dir)
                puppet.do("gc.disable()")
                expected = own(puppet)["collections"]
                exact(fetch(url)[1], expected)
                assert one(parsed(fetch(url)[1]), "gcpreload_tuned_processes") == 1
                assert by_generation(once(ring_dir), COLLECTIONS) == expected
            puppet.process.kill()  # or it would have a last collection
            puppet.process.wait()
        exact(fetch(url)[1], expected)
        assert command("clean", "--dir", ring_dir).returncode == 0
        exact(fetch(url)[1], expected)
        assert by_generation(once(ring_dir), COLLECTIONS) == expected


@needs_export
def test_deltas_of_one_process_go_on(system_python: Interpreter, ring_dir: Path) -> None:
    """A ring that comes again is no new process, whose collections all are new."""
    with Collector() as collector:
        words = ("--per-process", "--otlp", collector.url)

        def arrived() -> list[int]:
            each = [otlp_by_generation(r.resources, OTLP_COLLECTIONS) for r in collector.taken]
            return [sum(numbers) for numbers in zip(*each)]

        with (
            exporting(ring_dir, *words, **FAST, **DELTAS) as exporter,
            Puppet(system_python, ring_dir) as puppet,
        ):
            assert exporter.url  # it has looked for the first time
            puppet.do(*ARMED)
            puppet.wait_for("ready", *WORK)
            puppet.do("gc.disable()", "gc.collect()")
            expected = own(puppet)["collections"]
            wait_for("the deltas", lambda: arrived() == expected)
            the_file(ring_dir)
            puppet.do("gc.enable()")
            made_anew(puppet, ring_dir)
            puppet.do("gc.disable()", "gc.collect()")
            expected = own(puppet)["collections"]
            wait_for("the deltas", lambda: arrived() == expected)
            collector.wait_more()
            assert arrived() == expected


@REMOVED
def test_watch_goes_on(
    remove: Callable[[Path], None], system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Each collection is told, and told once."""
    told = tmp_path / "told"
    words = [COMMAND, "watch", "--json", "--dir", ring_dir]

    def times() -> list[float]:
        events = map(json.loads, told.read_text().splitlines())
        return [event["time"] for event in events if event["generation"] == 2]

    with Puppet(system_python, ring_dir) as puppet, told.open("w") as out:
        puppet.do(*ARMED)
        puppet.wait_for("ready", *WORK)
        with subprocess.Popen(words, env=environment(), stdout=out) as watch:
            try:
                wait_for("an event", lambda: puppet.do("gc.collect()") or times())
                before, since = own(puppet)["collections"][2], time.time()
                remove(ring_dir)
                puppet.do("gc.collect()")
                made_anew(puppet, ring_dir)
                puppet.do("gc.disable()", "gc.collect()", "gc.collect()")
                number = own(puppet)["collections"][2] - before
                wait_for("all", lambda: sum(at > since for at in times()) >= number)
            finally:
                watch.terminate()
    assert sum(at > since for at in times()) == number
    assert len(times()) == len(set(times()))


def test_workers_that_only_wait(server_python: Interpreter, ring_dir: Path) -> None:
    """No request comes: the waits alone are enough."""
    with gunicorn(server_python, ring_dir, workers=2) as server:
        before = server.workers_in_state("ready", ring_dir, 2)
        the_directory(ring_dir)
        after = server.workers_in_state("ready", ring_dir, 2)
        assert sorted(p.file for p in after) == sorted(p.file for p in before)
        assert server.get("/").startswith("hello")
