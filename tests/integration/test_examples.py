"""What is in examples/ fits what the programs here really say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.paths import COMMAND, ROOT
from lib.puppet import Puppet
from lib.rings import command
from lib.settings import SETTINGS
from venvs import Interpreter

EXAMPLES = ROOT / "examples"


def test_rules_are_rules() -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is missing")
    rules = EXAMPLES / "prometheus-rules.yml"
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb"SUCCESS: \d+ rules found", done.stdout)


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    text = ",".join(f'{key}="{value}"' for key, value in {"service": "shop", **labels}.items())
    return {"series": f"{name}{{{text}}}", "values": values}


def fires(tmp_path: Path, alert: str, inputs: list[dict[str, str]]) -> bool:
    """Half an hour later; promtool goes through it at once."""
    test = {
        "rule_files": [str(EXAMPLES / "prometheus-rules.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": inputs,
                "alert_rule_test": [{"eval_time": "30m", "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps(test))  # which YAML is, too
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, check=False)
    assert done.returncode == 0 or b"got:[" in done.stdout + done.stderr, done.stderr
    return done.returncode != 0


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing")
@pytest.mark.parametrize("period", ["startup", "baseline", "tuned"])
def test_long_pauses_of_the_start(period: str, tmp_path: Path) -> None:
    """Workers that are recycled begin all the time, and no request waits for that."""
    labels = {"generation": "2", "cause": "automatic", "period": period}
    name = "gcpreload_gc_duration_seconds"
    inputs = [
        series(f"{name}_bucket", "0+0x30", **labels, le="0.125"),
        series(f"{name}_count", "0+5x30", **labels),
        series(f"{name}_sum", "0+10x30", **labels),
        series("gcpreload_tuned_processes", "2+0x30"),
        series("gcpreload_untuned_processes", "0+0x30"),
    ]
    for alert in ("GcLongPauses", "GcTakesMuchOfTheTime"):
        assert fires(tmp_path, alert, inputs) == (period != "startup"), alert


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing")
def test_shares_where_nothing_serves(tmp_path: Path) -> None:
    """All workers of a service have ended; its master is there."""
    labels = {"generation": "2", "cause": "automatic", "period": "tuned"}
    inputs = [
        series("gcpreload_gc_duration_seconds_sum", "0+0.001x30", **labels),
        series("gcpreload_tuned_processes", "0+0x30"),
        series("gcpreload_untuned_processes", "0+0x30"),
    ]
    assert not fires(tmp_path, "GcTakesMuchOfTheTime", inputs)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing")
def test_the_dashboard_is_understood(tmp_path: Path) -> None:
    """Each of its expressions, as a rule."""
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    written = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    filled = [one.replace("$__rate_interval", "5m").replace("$service", ".*") for one in written]
    rules = [{"record": f"one:{i}", "expr": one} for i, one in enumerate(filled)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_metrics_and_labels_are_there(system_python: Interpreter, ring_dir: Path) -> None:
    if not COMMAND.with_name("gcpreload-export").exists():
        pytest.skip("libmicrohttpd-dev is missing")
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "gc.collect()")
        exported = command("export", "--once", "--dir", ring_dir).stdout.decode()
    names = set(re.findall(r"^(gcpreload_\w+)", exported, re.M))
    labels = set(re.findall(r'(\w+)="', exported))
    bounds = set(re.findall(r'le="([^"]*)"', exported))
    for file in ("prometheus-rules.yml", "grafana.json"):
        text = (EXAMPLES / file).read_text()
        assert set(re.findall(r"\bgcpreload_[a-z_]+", text)) <= names, file
        by = ",".join(re.findall(r"by \(([^)]*)\)", text))
        assert set(re.findall(r"\w+", by)) <= labels, file
        assert set(re.findall(r'le=\\?"([\d.]+)', text)) <= bounds, file


def test_the_start_is_in_no_request() -> None:
    """A service that has no collection while it serves has none in requests."""
    for file in ("prometheus-rules.yml", "grafana.json"):
        text = (EXAMPLES / file).read_text().replace('\\"', '"')
        selectors = re.findall(r"gcpreload_gc_duration\w*(\{[^}]*\})", text)
        assert len(selectors) >= 3
        for selector in selectors:
            assert 'period!="startup"' in selector, f"{file}: {selector}"
            assert "cause" in selector, f"{file}: {selector}"


def test_shares_are_of_what_serves() -> None:
    """And there is none where nothing does: what is divided by zero is above any limit."""
    for file in ("prometheus-rules.yml", "grafana.json"):
        text = (EXAMPLES / file).read_text()
        divided = re.findall(r"/ (.*?untuned_processes.*?\).{5})", text)
        assert divided
        assert all(one.startswith("(sum by") and one.endswith(") > 0)") for one in divided), file


def test_the_dashboard_is_json() -> None:
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) > 5


def test_settings_and_options_are_there() -> None:
    help_text = command("export", "--help").stdout.decode()
    for file in EXAMPLES.iterdir():
        text = file.read_text()
        assert set(re.findall(r"GCPRELOAD_(\w+)", text)) <= {s.name for s in SETTINGS}, file
        if "gcpreload-export" in text:
            for option in re.findall(r"gcpreload-export[^\n]*?(--[a-z-]+)", text):
                assert option in help_text, file
