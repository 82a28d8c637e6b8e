"""A receiver of OTLP over HTTP. What arrives is parsed by OpenTelemetry's own protocol buffers."""

from __future__ import annotations

import functools
import gzip
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from venvs import Interpreter

from lib.export import served
from lib.paths import COMMAND
from lib.ports import reserve
from lib.puppet import Puppet
from lib.rings import ring_files
from lib.run import Completed, environment, run, wait_for

Attributes = dict[str, Any]

COLLECTIONS = "cpython.gc.collections"
DURATION = "cpython.gc.duration"
FAST = {"OTEL_METRIC_EXPORT_INTERVAL": "100"}
RARE = {"OTEL_METRIC_EXPORT_INTERVAL": "3600000"}
DELTAS = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    path: str
    headers: Message
    body: bytes
    time: float
    status: int  # what it was answered

    @functools.cached_property
    def resources(self) -> list[ResourceMetrics]:
        """Parsed strictly: an unknown field, a wrong type or bad UTF-8 is an error."""
        body = self.body
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        return list(json_format.Parse(body, ExportMetricsServiceRequest()).resource_metrics)


class Collector:
    """Listens on 127.0.0.1, in a with statement; answer says what to tell the next one."""

    def __init__(
        self, answer: Callable[[], Answer] = Answer, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._place = reserve()
        self.port = self._place.getsockname()[1]
        self.up()

    def up(self) -> None:
        """On the same port each time."""
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                collector.connections += 1
                collector._sockets.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = collector.answer()
                collector.requests.append(
                    Request(self.path, self.headers, body, time.monotonic(), answer.status)
                )
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                """Not on stderr."""

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A connection that was broken off is no news."""

        self._sockets: list[Any] = []
        self._server = Server(("127.0.0.1", self.port), Handler)
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def down(self) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in self._sockets:  # kept alive by the other side
            try:
                connection.shutdown(2)
            except OSError:
                continue
        self._server.server_close()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._place.close()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[Request]:
        """Those that it answered well."""
        return [request for request in list(self.requests) if request.status == 200]

    def wait(self, number: int, what: Callable[[Request], bool] = lambda _: True) -> list[Request]:
        """The requests of that kind, once there are so many."""

        def look() -> list[Request] | None:
            found = [request for request in list(self.requests) if what(request)]
            return found if len(found) >= number else None

        return wait_for(f"{number} requests", look)

    def wait_more(self, number: int = 2) -> list[Request]:
        """All, once there are so many that began after this was called."""
        return self.wait(len(self.requests) + number)


# ---- what is in a message ----


def attributes(of: Any) -> Attributes:  # noqa: ANN401 - whatever has attributes
    pairs: list[KeyValue] = list(of.attributes)
    found = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
    assert len(found) == len(pairs), "a key twice"
    return found


def metrics(resource: ResourceMetrics) -> dict[str, Metric]:
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "gcpreload"
    found = {metric.name: metric for metric in scope.metrics}
    assert len(found) == len(scope.metrics), "a metric twice"
    return found


def data(metric: Metric) -> Any:  # noqa: ANN401 - Sum, Gauge or ExponentialHistogram
    return getattr(metric, metric.WhichOneof("data"))


def points(resources: list[ResourceMetrics], name: str) -> Iterator[Any]:
    for resource in resources:
        if name in metrics(resource):
            yield from data(metrics(resource)[name]).data_points


def by_generation(
    resources: list[ResourceMetrics], name: str, member: str = "as_int"
) -> list[Any]:
    total = [0, 0, 0]
    for point in points(resources, name):
        total[attributes(point)["cpython.gc.generation"]] += getattr(point, member)
    return total


def resources_of(request: Request) -> dict[str, dict[str, Any]]:
    """Attributes by service."""
    found = [attributes(resource.resource) for resource in request.resources]
    assert len({one["service.name"] for one in found}) == len(found)
    return {one["service.name"]: one for one in found}


# ---- pushes ----


def once(ring_dir: Path, *words: str, **settings: str) -> Completed[bytes]:
    return run(
        [COMMAND, "export", "--once", "--dir", ring_dir, "--otlp", *words],
        environment(**settings),
    )


def pushed(collector: Collector, ring_dir: Path, *words: str, **settings: str) -> Request:
    """The one message of a push that nobody complained about."""
    before = len(collector.requests)
    done = once(ring_dir, collector.url, *words, **settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (request,) = collector.requests[before:]
    return request


def dead_ring(python: Interpreter, ring_dir: Path, **settings: str) -> Path:
    """The ring of a process that ended."""
    with Puppet(python, ring_dir, **settings) as puppet:
        served(puppet)
    (ring,) = ring_files(ring_dir)
    ring.chmod(0o600)
    return ring
