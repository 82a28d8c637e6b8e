"""gcpreload export --otlp: where it pushes to, and what it does when that is not taken."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.collector import (
    COLLECTIONS,
    FAST,
    RARE,
    Answer,
    Collector,
    by_generation,
    dead_ring,
    once,
    pushed,
    resources_of,
)
from lib.export import PROGRAM, exporting, own, served
from lib.paths import COMMAND, DEADLINE
from lib.ports import reserved_port
from lib.puppet import Puppet
from lib.rings import command
from lib.run import environment, wait_for
from venvs import Interpreter

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libcurl or libmicrohttpd is missing")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


# ---- a collector that does not take it ----


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retries(
    status: int, system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    dead_ring(system_python, ring_dir)
    answers = iter([Answer(status), Answer(status)])
    collector.answer = lambda: next(answers, Answer())
    done = once(ring_dir, collector.url)
    assert [one.status for one in collector.requests] == [status, status, 200]
    assert done.returncode == 0
    first, second = done.stderr.decode().splitlines()
    assert f"HTTP status {status}; retrying" in first
    assert second.endswith("works again")


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501, 301])
def test_what_is_not_retried(
    status: int, system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    dead_ring(system_python, ring_dir)
    elsewhere = {"Location": collector.url, "Retry-After": "0"}
    collector.answer = lambda: Answer(
        status, b'{"code": 3, "message": "no\\u001b[1m way"}', elsewhere
    )
    done = once(ring_dir, collector.url)
    assert len(collector.requests) == 1
    assert done.returncode == 1
    assert f"HTTP status {status}: no\\x1b[1m way; check".encode() in done.stderr


def test_partial_success_is_not_retried(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    body = {"partialSuccess": {"rejectedDataPoints": "7", "errorMessage": "too old"}}
    collector.answer = lambda: Answer(200, json.dumps(body).encode())
    dead_ring(system_python, ring_dir)
    done = once(ring_dir, collector.url)
    assert len(collector.requests) == 1
    assert done.returncode == 0
    assert b"7 data points were rejected: too old; rejected data points are not sent again" in (
        done.stderr
    )
    with exporting(ring_dir, "--otlp", collector.url, **FAST) as exporter:
        collector.wait_more(3)
        assert len(exporter.said("were rejected")) == 1


@pytest.mark.parametrize("date", [False, True])
def test_retry_after(
    date: bool, system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """Not before the collector wants it, where the next push were due long before."""
    dead_ring(system_python, ring_dir)

    def refuse_once() -> Iterator[Answer]:
        """Reckoned when it is asked, however long that took."""
        in_three_seconds = time.gmtime(time.time() + 4)
        when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", in_three_seconds)
        yield Answer(503, headers={"Retry-After": when if date else "2"})

    answers = refuse_once()
    collector.answer = lambda: next(answers, Answer())
    with exporting(ring_dir, "--otlp", collector.url, **FAST):
        first, second = collector.wait(2)[:2]
    assert (first.status, second.status) == (503, 200)
    assert second.time - first.time > 2


def test_once_gives_up(system_python: Interpreter, ring_dir: Path) -> None:
    dead_ring(system_python, ring_dir)
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        done = once(ring_dir, url, OTEL_METRIC_EXPORT_TIMEOUT="1500")
    assert done.returncode == 1
    first, second = done.stderr.decode().splitlines()
    assert f"OTLP: {url}/v1/metrics: " in first
    assert "timed out, see" in second


def test_unreachable_is_said_once(system_python: Interpreter, ring_dir: Path) -> None:
    """/metrics is there all the time; what happened meanwhile comes when the collector is back."""
    with Collector() as collector, Puppet(system_python, ring_dir) as puppet:
        collector.down()
        served(puppet)
        with exporting(ring_dir, "--otlp", collector.url, **FAST) as exporter:
            wait_for("a complaint", lambda: exporter.said("OTLP:"))
            for _ in range(5):
                with urllib.request.urlopen(f"{exporter.url}/metrics", timeout=DEADLINE) as got:
                    assert b"gcpreload_gc_collections_total" in got.read()
            puppet.do("gc.collect()")
            collector.up()
            collector.wait(3)
            assert (
                by_generation(collector.requests[0].resources, COLLECTIONS)
                == (own(puppet)["collections"])
            )
            wait_for("better news", lambda: exporter.said("works again"))
            first, second = exporter.said("OTLP:")
            assert "Failed to connect" in first
            assert "no data is lost" in first
            assert second.endswith(f"{collector.url}/v1/metrics: works again")
            # A restart of it: at most one line each again, and the connection is made anew.
            collector.down()
            wait_for("a complaint", lambda: len(exporter.said("no data is lost")) == 2)
            collector.up()
            wait_for("better news", lambda: len(exporter.said("works again")) == 2)
            assert len(exporter.said("OTLP:")) == 4


def test_one_that_hangs_holds_up_nobody(system_python: Interpreter, ring_dir: Path) -> None:
    """Neither /metrics nor the end."""
    dead_ring(system_python, ring_dir)
    patience = str(int(10 * DEADLINE * 1000))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with exporting(
            ring_dir,
            "--otlp",
            url,
            OTEL_EXPORTER_OTLP_TIMEOUT=patience,
            OTEL_METRIC_EXPORT_TIMEOUT=patience,
        ) as exporter:
            connection, _ = silent.accept()
            assert connection.recv(4) == b"POST"
            with urllib.request.urlopen(f"{exporter.url}/metrics", timeout=DEADLINE) as got:
                assert b"gcpreload_gc_collections_total" in got.read()
            exporter.process.send_signal(signal.SIGTERM)
            assert exporter.process.wait(DEADLINE) == 0
            connection.close()


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"]
)
def test_timeouts(name: str, system_python: Interpreter, ring_dir: Path) -> None:
    dead_ring(system_python, ring_dir)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with exporting(ring_dir, "--otlp", url, **RARE, **{name: "300"}) as exporter:
            (line,) = wait_for("a complaint", lambda: exporter.said("OTLP:"))
            assert "timed out" in line


def test_the_end_is_pushed(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        with exporting(ring_dir, "--otlp", collector.url, **RARE) as exporter:
            collector.wait(1)
            puppet.do("gc.collect()", "gc.collect(0)")
            exporter.stop()
        first, second = (by_generation(o.resources, COLLECTIONS) for o in collector.requests)
        assert second == own(puppet)["collections"] != first


def test_one_connection(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    dead_ring(system_python, ring_dir)
    with exporting(ring_dir, "--otlp", collector.url, **FAST):
        collector.wait(5)
    assert collector.connections == 1


def test_a_very_long_answer(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    dead_ring(system_python, ring_dir)
    collector.answer = lambda: Answer(200, b" " * (5 << 20))
    assert once(ring_dir, collector.url).returncode == 0


# ---- where to, and how ----


@pytest.mark.parametrize(
    ("variables", "option", "path"),
    [
        ({"": "{url}"}, [], "/v1/metrics"),
        ({"": "{url}/"}, [], "/v1/metrics"),
        ({"": "{url}/my/collector//"}, [], "/my/collector/v1/metrics"),
        ({"": "{url}/a?key=1"}, [], "/a/v1/metrics?key=1"),
        ({"METRICS_": "{url}"}, [], "/"),
        ({"METRICS_": "{url}/push", "": "http://127.0.0.1:1"}, [], "/push"),
        ({"METRICS_": "", "": "{url}"}, [], "/v1/metrics"),
        ({"METRICS_": "http://127.0.0.1:1"}, ["{url}/x"], "/x/v1/metrics"),
    ],
)
def test_endpoints(
    variables: dict[str, str],
    option: list[str],
    path: str,
    system_python: Interpreter,
    ring_dir: Path,
    collector: Collector,
) -> None:
    dead_ring(system_python, ring_dir)
    settings = {
        f"OTEL_EXPORTER_OTLP_{name}ENDPOINT": value.format(url=collector.url)
        for name, value in variables.items()
    }
    done = once(ring_dir, *(word.format(url=collector.url) for word in option), **settings)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [one.path for one in collector.requests] == [path]


def test_the_environment_alone_does_nothing(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    dead_ring(system_python, ring_dir)
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **FAST}
    with exporting(ring_dir, **settings) as exporter:
        urllib.request.urlopen(f"{exporter.url}/metrics", timeout=DEADLINE).close()
    assert not collector.requests


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://127.0.0.1", "http://", "", "grpc://h:1"])
def test_no_endpoint(url: str, ring_dir: Path) -> None:
    done = once(ring_dir, f"--otlp={url}")
    assert done.returncode == 2
    assert b"--otlp: not a valid collector URL" in done.stderr
    done = command("export", "--dir", ring_dir, f"--otlp={url}")
    assert done.returncode == 2


def test_headers(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    dead_ring(system_python, ring_dir)
    general = "api-key=secret%20%2C%3d, x-empty=,X-Plus=a+b=c"
    request = pushed(collector, ring_dir, OTEL_EXPORTER_OTLP_HEADERS=general)
    assert request.headers["api-key"] == "secret ,="
    assert request.headers["x-empty"] == ""
    assert request.headers["x-plus"] == "a+b=c"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("gcpreload-export/")
    special = {"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "api-key=other"}
    request = pushed(collector, ring_dir, OTEL_EXPORTER_OTLP_HEADERS=general, **special)
    assert request.headers["api-key"] == "other"
    assert "x-plus" not in request.headers


def test_bad_headers_are_left_out(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    dead_ring(system_python, ring_dir)
    bad = "ok=1,evil=secret%0d%0aX-More: 1,no-value,b ad=secret,nul=secret%00,content-type=a/b"
    done = once(ring_dir, collector.url, OTEL_EXPORTER_OTLP_HEADERS=bad)
    assert done.returncode == 0
    numbers = re.findall(rb"OTEL_EXPORTER_OTLP_HEADERS: entry (\d) is invalid", done.stderr)
    assert numbers == [b"2", b"3", b"4", b"5", b"6"]
    assert b"secret" not in done.stderr
    headers = collector.requests[0].headers
    assert headers["ok"] == "1"
    assert headers.get_all("Content-Type") == ["application/json"]
    assert not {"evil", "X-More", "no-value", "nul"} & set(headers)


def test_passwords_are_not_said(ring_dir: Path, system_python: Interpreter) -> None:
    dead_ring(system_python, ring_dir)
    with reserved_port() as port:
        url = f"http://me:secret@127.0.0.1:{port}/?token=secret"
        done = once(ring_dir, url, OTEL_METRIC_EXPORT_TIMEOUT="100")
    assert b"OTLP: http://127.0.0.1:" in done.stderr
    assert b"secret" not in done.stderr


def test_gzip(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    dead_ring(system_python, ring_dir)
    plain = pushed(collector, ring_dir, OTEL_EXPORTER_OTLP_COMPRESSION="none")
    packed = pushed(collector, ring_dir, OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    counts = [by_generation(one.resources, COLLECTIONS) for one in (plain, packed)]
    assert counts[0] == counts[1]
    assert sum(counts[0]) > 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", b"not supported; using http/json"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            "http/protobuf",
            b"not supported; using http/json",
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", b"not gzip or none; using none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", b"not a number of milliseconds; using 10000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", b"not a number of milliseconds; using 60000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "-1", b"not a number of milliseconds; using 30000"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "both",
            b"not cumulative, delta or lowmemory; using cumulative",
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "fine",
            b"base2_exponential_bucket_histogram; using the latter",
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c", b"entry 2 is invalid"),
    ],
)
def test_what_is_wrong_is_said(
    name: str,
    value: str,
    said: bytes,
    system_python: Interpreter,
    ring_dir: Path,
    collector: Collector,
) -> None:
    """And left out; it goes on."""
    dead_ring(system_python, ring_dir)
    done = once(ring_dir, collector.url, **{name: value})
    assert done.returncode == 0
    assert name.encode() in done.stderr
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert len(collector.requests) == 1


def test_disabled(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    dead_ring(system_python, ring_dir)
    disabled = {"OTEL_SDK_DISABLED": "True"}
    done = once(ring_dir, collector.url, **disabled)
    assert done.returncode == 0
    assert b"OTEL_SDK_DISABLED" in done.stderr
    with exporting(ring_dir, "--otlp", collector.url, **FAST, **disabled) as exporter:
        urllib.request.urlopen(f"{exporter.url}/metrics", timeout=DEADLINE).close()
    assert not collector.requests


def test_certificates(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is missing")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([openssl, *words.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    dead_ring(system_python, ring_dir)
    with Collector(tls=context) as collector:
        pushed(collector, ring_dir, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate))
        done = once(ring_dir, collector.url)
        assert done.returncode == 1
        assert b"certificate" in done.stderr
        assert len(collector.requests) == 1


def test_push_only(system_python: Interpreter, ring_dir: Path, collector: Collector) -> None:
    dead_ring(system_python, ring_dir)
    process = subprocess.Popen(
        [COMMAND, "export", "--listen", "none", "--dir", ring_dir, "--otlp", collector.url],
        env=environment(**RARE),
        stderr=subprocess.PIPE,
    )
    try:
        collector.wait(1)
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()
        inodes = {line.split()[9] for line in listening if line.split()[3] == "0A"}
        links = [os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert not {f"socket:[{inode}]" for inode in inodes} & set(links)
    finally:
        process.terminate()
        assert process.communicate(timeout=DEADLINE)[1] == b""
    assert process.returncode == 0


def test_options_that_exclude_each_other(ring_dir: Path, tmp_path: Path) -> None:
    for words in (["--textfile", tmp_path / "a.prom", "--otlp"], ["--listen", "none"]):
        done = command("export", "--dir", ring_dir, *words)
        assert done.returncode == 2
        assert b"--otlp" in done.stderr


def test_nothing_measured(ring_dir: Path, collector: Collector) -> None:
    done = once(ring_dir, collector.url)
    assert done.returncode == 0
    assert b"nothing was pushed" in done.stderr
    assert not collector.requests


# ---- size ----


def test_many_processes_are_several_messages(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """None of which is large, and each is complete."""
    number = 1500
    ring = dead_ring(system_python, ring_dir, GCPRELOAD_SERVICE="service-0000")
    raw = ring.read_bytes()
    series, size = struct.unpack_from("=2I", raw, 24)
    used = series + 3 * 3 * 8 * size
    for index in range(1, number):
        path = ring.with_name(f"{ring.name[:-8]}{index:08x}")
        path.write_bytes(raw[:used].replace(b"service-0000", b"service-%04d" % index))
        os.truncate(path, len(raw))
    request_counts = []
    done = once(ring_dir, collector.url, "--per-process")
    assert (done.returncode, done.stderr) == (0, b"")
    for one in collector.requests:
        assert len(one.body) < 5 << 20
        assert "Expect" not in one.headers
        request_counts.append(len(resources_of(one)))
    assert len(request_counts) > 1
    assert sum(request_counts) == number
    names = {name for one in collector.requests for name in resources_of(one)}
    assert names == {f"service-{index:04d}" for index in range(number)}
    # One that is refused does not keep the others.
    before = len(collector.requests)
    answers = iter([Answer(400)])
    collector.answer = lambda: next(answers, Answer())
    assert once(ring_dir, collector.url, "--per-process").returncode == 1
    assert len(collector.requests) - before == len(request_counts)
