"""The page: in requests and while waiting, one word each, in tile, chart and table."""

from __future__ import annotations

from pathlib import Path

import pytest
import test_page
from lib.export import PROGRAM
from lib.puppet import Puppet
from lib.rings import ring_files
from lib.run import wait_for
from selenium import webdriver
from test_export import exporter
from test_page import report, rows, text
from venvs import Interpreter

downloads, one_browser, page = test_page.downloads, test_page.one_browser, test_page.page
pytestmark = test_page.pytestmark

# ring/layout.h: where the series begin, and how large they are.
SERIES, SIZE, CAUSES = 4096, 1600, 8
TUNED, AUTOMATIC, IDLE = 2, 0, 4


def put(ring: Path, generation: int, cause: int, seconds: float) -> None:
    """A collection that took so long: collections, collected, uncollectable, sum_ns, max_ns, below
    and above the histogram."""
    at = SERIES + ((TUNED * 3 + generation) * CAUSES + cause) * SIZE
    ns = round(seconds * 10**9)
    ring.chmod(0o600)
    with ring.open("r+b") as file:
        file.seek(at)
        file.write(b"".join(n.to_bytes(8, "little") for n in (1, 0, 0, ns, ns, 1, 0)))


@pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing")
def test_words(system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="idle") as puppet:
        puppet.do("one = listen()", "arm(one)")
        puppet.wait_for("ready")
        puppet.do("import time", "gc.disable()", "time.sleep(0.5)", "gc.collect(0)")
    (ring,) = ring_files(ring_dir)
    # Of what it lived: a fifth in requests, a half while waiting.
    lived = report(ring_dir, puppet.pid)["tuned"]["seconds"]
    for generation in range(3):
        put(ring, generation, AUTOMATIC, lived / 15)
        put(ring, generation, IDLE, lived / 6)
    with exporter(ring_dir) as url:
        page.get(url)
        wait_for("the page", lambda: rows(page, "#gain tbody tr"))
        tiles_text = text(page, "#tiles")
        table = {row["name"]: row["Tuned"] for row in rows(page, "#gain tbody tr")}
        whole = text(page, "#main")
    in_requests = table["… in requests"]
    # What gc.collect() took is in it, too.
    assert 20 <= float(in_requests.removesuffix(" %")) < 50
    assert table["… while waiting"] == "50.0 %"
    assert "in requests, " in tiles_text
    assert table["Longest while waiting"] != table["Longest pause in requests"]
    assert "while idle" not in whole
    assert "waited" not in whole
