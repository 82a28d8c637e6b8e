"""Where things are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"
LIBRARY = BUILD / "libgcpreload.so"
COMMAND = BUILD / "gcpreload"
APPS = ROOT / "tests" / "apps"
GOLDEN = ROOT / "tests" / "integration" / "golden"

# What a shared machine may need for the slowest thing here. Reached only by a test that fails.
DEADLINE = float(os.environ.get("TEST_DEADLINE", "90"))
SET_UP_DEADLINE = 20 * DEADLINE  # downloads and builds
