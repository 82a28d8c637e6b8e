"""A real browser without a window: Debian's chromium, driven by selenium."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@contextlib.contextmanager
def browser(downloads: Path | None = None) -> Iterator[webdriver.Chrome]:
    """With an empty profile; what is saved goes to downloads."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or "chromium"
    for word in ("--headless=new", "--disable-dev-shm-usage", "--no-first-run", "--disable-gpu"):
        options.add_argument(word)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if downloads:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, log_output=os.devnull))
    try:
        yield driver
    finally:
        driver.quit()


def look_like(driver: webdriver.Chrome, width: int, height: int, scheme: str) -> None:
    """A screen of that width; scheme is "light" or "dark"."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
