"""gcpreload export: what a real Prometheus reads, against Python's own counts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib.export import PROGRAM, SERVES, exporting, own, served
from lib.metrics import Samples, by_generation, fetch, once, one, parsed
from lib.paths import DEADLINE
from lib.ports import reserved_port
from lib.puppet import Puppet
from lib.rings import by_pid, command, ring_files
from lib.run import environment, wait_for
from lib.server import gunicorn
from venvs import Interpreter

DEAD = 40  # more than
MAY_STAY = 32  # ring/file.c

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")


@contextlib.contextmanager
def exporter(
    ring_dir: Path | str, *words: str | Path, said: list[str] | None = None
) -> Iterator[str]:
    """Serving; its address. What else it says goes to said."""
    with exporting(ring_dir, *words) as process:
        try:
            yield process.url
        finally:
            if said is not None:
                said += [line for line in process.errors().splitlines() if SERVES not in line]


@pytest.mark.parametrize("style", [[], ["--per-process"], ["--compat-names"]])
def test_counts_are_pythons_own(python: Interpreter, style: list[str], ring_dir: Path) -> None:
    with Puppet(python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
        served(puppet)
        samples, expected = once(ring_dir, *style), own(puppet)
    prefix = "python_gc" if "--compat-names" in style else "gcpreload_gc"
    for metric, name in (
        ("collections", "collections"),
        ("objects_collected", "collected"),
        ("objects_uncollectable", "uncollectable"),
    ):
        assert by_generation(samples, f"{prefix}_{metric}_total") == expected[name]
    counted = by_generation(samples, f"{prefix}_duration_seconds_count")
    assert counted == expected["collections"]
    labels = [labels for metric, labels, _ in samples if metric == f"{prefix}_collections_total"]
    assert {label["service"] for label in labels} == {"shop"}
    assert all(("pid" in label) == ("--per-process" in style) for label in labels)
    assert all(("cause" in label) == ("--compat-names" not in style) for label in labels)
    assert one(samples, "gcpreload_tuned_processes") == 1
    assert one(samples, "gcpreload_frozen_objects") > 20000


def test_buckets_grow_to_the_count(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        samples = once(ring_dir, "--compat-names")
    for generation in "012":
        found = [
            (float(labels["le"]), value)
            for metric, labels, value in samples
            if metric == "python_gc_duration_seconds_bucket" and labels["generation"] == generation
        ]
        assert [le for le, _ in found] == sorted(le for le, _ in found)
        values = [value for _, value in found]
        assert values == sorted(values)
        assert found[-1][0] == float("inf")
        assert values[-1] == by_generation(samples, "python_gc_collections_total")[int(generation)]


@pytest.mark.parametrize("style", [[], ["--per-process"], ["--compat-names"]])
def test_promtool_has_nothing_to_say(
    system_python: Interpreter, style: list[str], ring_dir: Path
) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is missing")
    hostile = 'a"b\\c\nd\x1be\udcff{}'
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=hostile) as puppet:
        served(puppet)
        done = command("export", "--once", "--dir", ring_dir, *style)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=done.stdout, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    shown = {labels.get("service") for _, labels, _ in parsed(done.stdout.decode())}
    assert 'a\\"b\\\\c\\nd e\ufffd{}' in shown


@pytest.mark.parametrize("mode", ["freeze", "observe"])
def test_a_parent_serves_nothing(mode: str, system_python: Interpreter, ring_dir: Path) -> None:
    """Nor is it one that is not tuned: shares of its service would be too small."""
    with gunicorn(system_python, ring_dir, GCPRELOAD_MODE=mode) as server:
        server.workers_in_state("ready" if mode == "freeze" else "observing", ring_dir)
        # A parent that only observes has measurements after two seconds of its life.
        wait_for("its ring", lambda: server.pid in by_pid(ring_dir) or mode == "observe")
        samples = once(ring_dir)
    assert one(samples, "gcpreload_tuned_processes") == (2 if mode == "freeze" else 0)
    assert one(samples, "gcpreload_untuned_processes") == (0 if mode == "freeze" else 2)


def test_the_time_ratio_is_of_serving(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("[gc.collect() for _ in range(30)]")  # nearly all of its time until now
        puppet.do("one = listen()", "arm(one)", "gc.disable()")
        puppet.wait_for("ready")

        def tuned() -> dict[str, float]:
            report = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
            (process,) = report["processes"]
            return process["periods"][1]

        before, samples, after = tuned(), once(ring_dir), tuned()
    spent = sum(
        value
        for name, labels, value in samples
        if name == "gcpreload_gc_duration_seconds_sum" and labels["period"] == "tuned"
    )
    assert spent > 0
    served_for = spent / one(samples, "gcpreload_gc_time_ratio")
    assert before["seconds"] <= served_for * 1.0001
    assert served_for <= after["seconds"] * 1.0001


def test_counters_never_go_back(system_python: Interpreter, ring_dir: Path) -> None:
    """Workers end, and their files are removed."""
    name = "gcpreload_gc_collections_total"
    with exporter(ring_dir) as url:
        with Puppet(system_python, ring_dir) as puppet:
            served(puppet)
            before = by_generation(parsed(fetch(f"{url}/metrics")[1]), name)
            puppet.do("gc.enable()", "gc.collect()")
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert not ring_files(ring_dir)
        samples = parsed(fetch(f"{url}/metrics")[1])
        after = by_generation(samples, name)
        assert after[2] > before[2]
        assert after[:2] >= before[:2]
        assert one(samples, "gcpreload_tuned_processes") == 0
        with Puppet(system_python, ring_dir) as puppet:
            served(puppet)
            more = by_generation(parsed(fetch(f"{url}/metrics")[1]), name)
        assert all(now > then for now, then in zip(more, after))


def test_workers_come_and_go(system_python: Interpreter, ring_dir: Path) -> None:
    """Each new one sweeps, since there are more dead ones than may stay: what is removed still
    counts, with --once, in a running exporter, and in one that was started again."""
    name = "gcpreload_gc_collections_total"
    expected = Counter[int]()

    def counts(samples: Samples) -> None:
        assert by_generation(samples, name) == [expected[generation] for generation in range(3)]
        assert by_generation(samples, "gcpreload_gc_duration_seconds_count") == by_generation(
            samples, name
        )

    def work() -> None:
        with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
            served(puppet)
            expected.update(dict(enumerate(own(puppet)["collections"])))
            puppet.process.kill()  # or it would have a last collection
            puppet.process.wait()

    work()
    (dead,) = ring_files(ring_dir)
    for number in range(DEAD):
        dead.with_name(f"{number + 1}.1.{number:08x}").write_bytes(dead.read_bytes())
    expected.update({generation: n * DEAD for generation, n in list(expected.items())})
    with exporter(ring_dir) as url:
        counts(parsed(fetch(f"{url}/metrics")[1]))
        for _ in range(3):
            work()
            assert len(ring_files(ring_dir)) <= MAY_STAY + 1
            assert list(ring_dir.glob("gcpreload-*/retired.*"))
            counts(once(ring_dir))
            counts(parsed(fetch(f"{url}/metrics")[1]))
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert not ring_files(ring_dir)
        counts(once(ring_dir))
        counts(parsed(fetch(f"{url}/metrics")[1]))
        work()
        counts(parsed(fetch(f"{url}/metrics")[1]))
    with exporter(ring_dir) as url:
        counts(parsed(fetch(f"{url}/metrics")[1]))
        assert command("clean", "--totals", "--dir", ring_dir).returncode == 0
        counts(parsed(fetch(f"{url}/metrics")[1]))
    assert by_generation(once(ring_dir), name) == [0, 0, 0]
    assert not list(ring_dir.glob("gcpreload-*/*"))
    assert command("ps", "--dir", ring_dir).returncode == 0


# ---- other roots ----


def test_roots_of_containers(system_python: Interpreter, ring_dir: Path) -> None:
    """Two with the same names in them; a third one comes later."""
    name = "gcpreload_gc_collections_total"
    one, two, late = (ring_dir / f"root{number}" for number in range(3))
    (one / "dev" / "shm").mkdir(parents=True)
    said: list[str] = []
    words = ["--root", one, "--root", two, "--root", late]
    with Puppet(system_python, one / "dev" / "shm") as puppet:
        served(puppet)
        expected = own(puppet)["collections"]
        shutil.copytree(one, two)
        with exporter("/dev/shm", *words, said=said) as url:
            for _ in range(3):
                found = by_generation(parsed(fetch(f"{url}/metrics")[1]), name)
                assert found == [2 * n for n in expected]
            shutil.copytree(one, late)
            samples = parsed(fetch(f"{url}/metrics")[1])
            assert by_generation(samples, name) == [3 * n for n in expected]
            assert one_living(samples)
            shutil.rmtree(two)
            samples = parsed(fetch(f"{url}/metrics")[1])
            assert by_generation(samples, name) == [3 * n for n in expected]
    missing = [line for line in said if f"{late}/dev/shm: cannot be opened" in line]
    assert len(missing) == 1
    assert len([line for line in said if f"{two}/dev/shm: cannot be opened" in line]) == 1


def one_living(samples: Samples) -> bool:
    """The copies' locks are nobody's."""
    tuned, untuned = (one(samples, f"gcpreload_{kind}_processes") for kind in ("tuned", "untuned"))
    return (tuned, untuned) == (1, 0)


@pytest.mark.parametrize("trap", ["dev", "dev/shm", "rings", "ring", ".."])
def test_no_link_leads_out_of_a_root(
    system_python: Interpreter, ring_dir: Path, trap: str
) -> None:
    outside, root = ring_dir / "outside", ring_dir / "root"
    mine = f"gcpreload-{os.geteuid()}"
    (outside / "shm").mkdir(parents=True)
    with Puppet(system_python, outside / "shm") as puppet:
        served(puppet)
        target = outside / "shm" / mine
        words = ["--once", "--root", root, "--dir", "/dev/shm"]
        if trap == "dev":
            root.mkdir()
            (root / "dev").symlink_to(outside)
        elif trap == "dev/shm":
            (root / "dev").mkdir(parents=True)
            (root / "dev" / "shm").symlink_to("../../outside/shm")
        elif trap == "ring":
            (root / "dev" / "shm" / mine).mkdir(parents=True)
            (ring,) = ring_files(outside / "shm")
            (root / "dev" / "shm" / mine / ring.name).symlink_to(ring)
        elif trap == "..":
            root.mkdir()
            words[-1] = "/../outside/shm"
        else:
            (root / "dev" / "shm").mkdir(parents=True)
            (root / "dev" / "shm" / mine).symlink_to(target)
        done = command("export", *words)
        assert done.returncode == 1
        assert "gcpreload_gc_collections_total{" not in done.stdout.decode()
        assert trap == "ring" or b": cannot be " in done.stderr
        # And it is found by the straight way.
        done = command("export", "--once", "--root", outside, "--dir", "/shm")
        assert "gcpreload_gc_collections_total{" in done.stdout.decode()


def test_negotiation_and_other_paths(ring_dir: Path) -> None:
    with exporter(ring_dir) as url:
        kind, body = fetch(f"{url}/metrics")
        assert kind.startswith("text/plain; version=0.0.4")
        assert "# EOF" not in body
        kind, body = fetch(f"{url}/metrics", Accept="application/openmetrics-text;version=1.0.0")
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert body.endswith("# EOF\n")
        assert 'href="/metrics"' in fetch(url)[1]
        for path, method, status in (("/nothing", "GET", 404), ("/metrics", "POST", 405)):
            request = urllib.request.Request(url + path, method=method, data=b"x" * 5)
            if method == "GET":
                request = urllib.request.Request(url + path)
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(request, timeout=DEADLINE)
            assert error.value.code == status


def test_slow_clients_stop_nobody(ring_dir: Path) -> None:
    with exporter(ring_dir) as url, contextlib.ExitStack() as stack:
        port = int(url.rsplit(":", 1)[1])
        for _ in range(20):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            half.sendall(b"GET /metrics HTTP/1.1\r\nHo")
        assert "gcpreload_build_info" in fetch(f"{url}/metrics")[1]


BAD_REQUESTS = {
    "noise": bytes(range(256)) * 40,
    "no line ends": b"GET /metrics HTTP/1.1" + b"x" * 100000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000,
    "a body that never comes": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
    "nothing": b"",
    "an answer that nobody reads": b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 500,
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_bad_clients_stop_nobody(ring_dir: Path, kind: str) -> None:
    """While they are there, and when they are reset."""
    with exporter(ring_dir) as url:
        port = int(url.rsplit(":", 1)[1])
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                bad = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                bad.setblocking(False)
                bad.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    bad.sendall(BAD_REQUESTS[kind])
            assert "gcpreload_build_info" in fetch(f"{url}/metrics")[1]
        assert "gcpreload_build_info" in fetch(f"{url}/metrics")[1]


def test_more_clients_than_it_takes(ring_dir: Path) -> None:
    """They hold all places, until they go."""
    with exporter(ring_dir) as url:
        port = int(url.rsplit(":", 1)[1])
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                with contextlib.suppress(OSError):
                    half.sendall(b"GET /metrics HTTP/1.1\r\nHo")
        assert "gcpreload_build_info" in fetch(f"{url}/metrics")[1]


def test_a_port_in_use(ring_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = command("export", "--listen", address, "--dir", ring_dir)
    assert done.returncode == 1
    assert f"{address}: Address already in use".encode() in done.stderr


def test_a_textfile_is_whole(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "gc.prom"
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        done = command("export", "--textfile", path, "--dir", ring_dir)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        found = by_generation(parsed(path.read_text()), "gcpreload_gc_collections_total")
        assert found == own(puppet)["collections"]
    assert list(tmp_path.iterdir()) == [path]
    done = command("export", "--textfile", tmp_path / "no" / "gc.prom", "--dir", ring_dir)
    assert done.returncode == 1
    assert b"No such file" in done.stderr


# ---- a real Prometheus ----


def asked(url: str, query: str) -> dict[str, float]:
    text = fetch(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}")[1]
    result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
    return {one["metric"].get("generation", ""): float(one["value"][1]) for one in result}


def test_prometheus_reads_it(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if not prometheus:
        pytest.skip("prometheus is missing")
    with (
        Puppet(system_python, ring_dir) as puppet,
        exporter(ring_dir) as url,
        reserved_port() as port,
    ):
        served(puppet)
        target = url.removeprefix("http://")
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: gc, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        options = ["--config.file", config, "--storage.tsdb.path", tmp_path / "data"]
        process = subprocess.Popen(
            [prometheus, *options, f"--web.listen-address=127.0.0.1:{port}"],
            env=environment(),
            stderr=subprocess.DEVNULL,
        )
        try:
            query = "sum by (generation) (gcpreload_gc_collections_total)"

            def look() -> dict[str, float] | None:
                with contextlib.suppress(OSError):
                    return asked(f"http://127.0.0.1:{port}", query) or None

            found = wait_for("an answer of Prometheus", look)
            assert [found[g] for g in "012"] == own(puppet)["collections"]
            pauses = "histogram_quantile(0.5, sum by (le) (gcpreload_gc_duration_seconds_bucket))"
            assert 0 < asked(f"http://127.0.0.1:{port}", pauses)[""] < 5
        finally:
            process.terminate()
            process.wait(DEADLINE)
    assert by_pid(ring_dir, "--all")
