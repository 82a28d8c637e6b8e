"""The marks of mode concurrent on the exporter's page, from numbers that stand in a ring."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, browser
from lib.export import PROGRAM, served
from lib.puppet import Puppet
from lib.rings import ring_files
from lib.run import wait_for
from test_counters import MARKS, marks_values, put
from test_export import exporter
from test_page import tiles
from venvs import Interpreter

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or its driver is missing"),
]


def test_on_the_page(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """A tile, where there were any; also those of processes that have ended."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
    (ring,) = ring_files(ring_dir)
    with browser(tmp_path) as driver:
        with exporter(ring_dir) as url:
            driver.get(url)
            wait_for("the page", lambda: tiles(driver).get("Processes") == "0")
            assert "Marks" not in tiles(driver)
        put(ring, MARKS, *marks_values().values())
        with exporter(ring_dir) as url:
            driver.get(url)
            begun, garbage, swept = (marks_values()[n] for n in ("begun", "garbage", "swept"))
            wait_for("marks", lambda: tiles(driver).get("Marks") == str(begun))
            shown = driver.find_element("id", "tiles").text
            assert f"{garbage} objects of garbage found, {swept} swept" in shown
