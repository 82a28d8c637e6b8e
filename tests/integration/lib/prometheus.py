"""A scripted hour of real /metrics, compressed into a minute, in a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.paths import DEADLINE, ROOT
from lib.rings import command
from lib.run import environment, wait_for

RULES = ROOT / "examples" / "prometheus-rules.yml"
DASHBOARD = ROOT / "examples" / "grafana.json"
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
COUNTER = re.compile(r"\w+(_total|_bucket|_sum|_count)$")
PAST = 65  # minutes before the script, in which nothing happens


class Recording:
    """What the exporter said at each minute of the script.

    The script is a hundred times faster than the hour that it stands for, so what counters grow
    between two looks is taken as that much of a minute's growth: rates are as they were.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed  # at most so many times what was counted: one event is not to be many
        self.series: dict[str, dict[int, float]] = {}
        self.minute = PAST
        self._last: dict[str, float] = {}
        self._before: dict[str, float] = {}

    def look(self, ring_dir: Path, instance: str = "one") -> None:
        """One scrape, of the minute that is."""
        done = command("export", "--once", "--dir", ring_dir)
        assert done.returncode == 0, done.stderr
        now = time.monotonic()
        factor = min(60 / (now - self._before.get(instance, now - 60)), self.speed)
        self._before[instance] = now
        for line in done.stdout.decode().splitlines():
            if not line.startswith("#"):
                self._take(line, f'job="gcpreload",instance="{instance}"', factor)

    def add(self, series: str, value: float) -> None:
        """A sample that is made up."""
        self._put(series, value)

    def _take(self, line: str, target: str, factor: float) -> None:
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match[1], match[2], float(match[3])
        series = f"{name}{{{labels + ',' if labels else ''}{target}}}"
        if COUNTER.match(name):
            grown = value - self._last.get(series, value)
            assert grown >= 0, f"{series} went back"
            known = self.series.get(series, {})
            before = known[max(known)] if known else value
            self._last[series] = value
            value = before + grown * factor
        self._put(series, value)

    def _put(self, series: str, value: float) -> None:
        self.series.setdefault(series, {})[self.minute] = value

    def next(self) -> None:
        self.minute += 1

    def _samples(self) -> Iterator[tuple[str, list[float | None]]]:
        """With the hour before: what was there at the first look was there all the time."""
        for series, values in self.series.items():
            before = values.get(PAST)
            yield (
                series,
                [before if minute < PAST else values.get(minute) for minute in range(self.minute)],
            )

    def as_test_series(self) -> list[dict[str, str]]:
        """For promtool test rules."""
        return [
            {
                "series": series,
                "values": " ".join("_" if v is None else repr(v) for v in values),
            }
            for series, values in self._samples()
        ]

    def write(self, path: Path, begin: float) -> None:
        """As OpenMetrics, the first minute at that time."""
        with open(path, "w") as file:
            for series, values in self._samples():
                for minute, value in enumerate(values):
                    if value is not None:
                        file.write(f"{series} {value!r} {begin + 60 * minute:.3f}\n")
            file.write("# EOF\n")


def alerts() -> dict[str, str]:
    """The alerts of the example, and their expressions."""
    text = RULES.read_text()
    found = re.findall(r"- alert: (\w+)\n +expr: (>\n(?:(?: {10}.*)\n)+|.*\n)", text)
    return {name: " ".join(expr.removeprefix(">").split()) for name, expr in found}


def panels() -> list[tuple[str, str]]:
    """The expressions of the dashboard, as Grafana asks them: all services, a rate over 5m."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [
        (
            panel["title"],
            target["expr"]
            .replace("$service", ".*")
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h"),
        )
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def run_tests(recording: Recording, tests: list[dict[str, Any]], tmp_path: Path) -> None:
    """promtool test rules: expressions of ALERTS, with the rules' own `for:`."""
    shutil.copy(RULES, tmp_path / "rules.yml")
    (tmp_path / "test.yml").write_text(
        json.dumps(
            {
                "rule_files": ["rules.yml"],
                "evaluation_interval": "1m",
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": recording.as_test_series(),
                        "promql_expr_test": tests,
                    }
                ],
            }
        )
    )
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "test.yml"],
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout.decode()[-6000:] + done.stderr.decode()[-6000:]


class Prometheus:
    """A server that answers about a recording that ended just now."""

    def __init__(self, url: str, recording: Recording, begin: float) -> None:
        self.url, self.begin, self.minutes = url, begin, recording.minute

    def at(self, minute: int, expression: str) -> list[dict[str, Any]]:
        when = self.begin + 60 * minute
        query = urllib.parse.urlencode({"query": expression, "time": f"{when:.3f}"})
        return fetch(f"{self.url}/api/v1/query?{query}")["result"]


def fetch(url: str) -> Any:  # noqa: ANN401 - whatever JSON has
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None
    assert found["status"] == "success", found
    return found["data"]


@contextmanager
def server(tmp_path: Path, config: dict[str, Any], *options: str) -> Iterator[str]:
    """Prometheus on a free port of the loopback, its data in tmp_path/data; the address."""
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}", "--web.listen-address=127.0.0.1:0"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, *options], env=environment(), stderr=log, stdout=log)

        def said() -> str:
            return os.pread(log.fileno(), 1 << 20, 0).decode()

        def address() -> str | None:
            assert process.poll() is None, said()
            found = re.search(r'msg="Listening on" address=(\S+)', said())
            return found[1] if found and "ready to receive" in said() else None

        try:
            yield "http://" + wait_for("Prometheus", address)
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def over(recording: Recording, tmp_path: Path) -> Iterator[Prometheus]:
    begin = float(int(time.time()) - 60 * (recording.minute + 5))
    recording.write(tmp_path / "recording.txt", begin)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*command, tmp_path / "recording.txt", tmp_path / "data"], check=True, capture_output=True
    )
    with server(tmp_path, {"rule_files": [str(RULES)]}) as url:
        yield Prometheus(url, recording, begin)
