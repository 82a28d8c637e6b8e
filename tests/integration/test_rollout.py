"""docs/rollout.md: its settings are settings, its alerts are there, its expressions are ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.paths import COMMAND, ROOT
from lib.run import environment, run

PAGE = (ROOT / "docs" / "rollout.md").read_text()
RULES = (ROOT / "examples" / "prometheus-rules.yml").read_text()
BLOCKS = re.findall(r"(?:^ {4}.*\n)+", PAGE, re.M)


def test_settings_can_be_used() -> None:
    """All of them but the mistake, by the library's own rules."""
    given = set(re.findall(r"\bGCPRELOAD_([A-Z_]+)=([^\s`)\"]+)", PAGE)) - {("SAMPLE", "1O%")}
    assert len(given) > 8
    for name, value in sorted(given):
        option = "--" + name.lower().replace("_", "-")
        done = run([COMMAND, "run", f"{option}={value}", "--", "true"], environment())
        assert (done.returncode, done.stderr) == (0, b""), f"{name}={value}"


def test_alerts_are_there() -> None:
    named = set(re.findall(r"`(G[a-z]+[A-Z]\w+)`", PAGE))
    assert {"GcLongPauses", "GcpreloadGuard"} <= named
    assert named <= set(re.findall(r"alert: (\w+)", RULES))


def test_expressions_are_ones(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is missing")
    expressions = [one for one in BLOCKS if re.match(r" +(sum|histogram_quantile)\b", one)]
    assert len(expressions) >= 3
    rules = [{"record": "x:y", "expr": " ".join(one.split())} for one in expressions]
    file = tmp_path / "rules.yml"
    # Of which JSON is a part.
    file.write_text(json.dumps({"groups": [{"name": "rollout", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", "--lint=none", file], check=False)
    assert done.returncode == 0
