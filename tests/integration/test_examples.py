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
