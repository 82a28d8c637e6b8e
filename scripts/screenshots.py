#!/usr/bin/env python3
"""Makes the pictures of docs/ from a real run: the exporter's page, and gcpreload top.

Started by scripts/screenshots. Two services run under load: one that serves with the
interpreter's own collector first and is tuned then, and one of which a share is tuned, in mode
idle.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import demo
import load
import venvs
from browser import browser, look_like
from selenium import webdriver

ROOT = demo.ROOT
DOCS = ROOT / "docs"
TOP = ROOT / "build" / "gcpreload-top"
TERMINAL_SVG = ROOT / "scripts" / "terminal_svg.py"
PAGES = {"page": (1280, "light"), "page-dark": (1280, "dark")}
PHONES = {"phone": (360, "light"), "phone-dark": (360, "dark")}
HEIGHT_OF_ALL = 5000


def say(text: str) -> None:
    print(f"screenshots: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def sampled(python: str, place: Path) -> Iterator[int]:
    """A server of which one worker is tuned and one is not, as chance has it; its port."""
    settings = {
        "GCPRELOAD_SERVICE": "search",
        "GCPRELOAD_MODE": "idle",
        "GCPRELOAD_SAMPLE": "0.5",
        "GCPRELOAD_SAMPLE_BY": "process",
        "DEMO_PRODUCTS": "20000",
    }
    for _ in range(20):
        with demo.server(python, {"ready", "observing"}, place, **settings) as (port, workers):
            if len({one["sample"] for one in demo.measured("ps", place, workers)}) > 1:
                yield port
                return
        subprocess.run([demo.COMMAND, "clean", "--dir", place], check=True)
    raise demo.Failed("chance never chose one of two workers")


@contextlib.contextmanager
def services(python: str, place: Path, baseline: float) -> Iterator[list[int]]:
    """Their ports."""
    settings = {"GCPRELOAD_SERVICE": "shop", "GCPRELOAD_BASELINE": f"{baseline:g}"}
    with (
        sampled(python, place) as search,
        demo.server(python, {"baseline"}, place, **settings) as (shop, _),
    ):
        yield [shop, search]


@contextlib.contextmanager
def exporter(place: Path) -> Iterator[str]:
    """Its address."""
    process = subprocess.Popen(
        [demo.COMMAND, "export", "--listen", "127.0.0.1:0", "--dir", place],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        found = re.search(r":(\d+)$", process.stderr.readline())
        if not found:
            raise demo.Failed("the exporter does not start")
        yield f"http://127.0.0.1:{found[1]}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stderr.close()


def loaded(ports: list[int], seconds: float) -> list[threading.Thread]:
    threads = []
    for port, rate in zip(ports, (80, 40)):
        loop = load.OpenLoop(port, rate)
        arguments = (seconds, lambda left: None)
        threads.append(threading.Thread(target=loop.run, args=arguments, daemon=True))
        threads[-1].start()
    return threads


def picture(driver: webdriver.Chrome, path: Path, width: int, scheme: str) -> None:
    """All of the page."""
    height = HEIGHT_OF_ALL
    for _ in range(2):
        look_like(driver, width, height, scheme)
        time.sleep(1)  # it draws anew
        height = driver.execute_script("return document.body.offsetHeight")
    driver.save_screenshot(str(path))
    say(f"{path} ({path.stat().st_size // 1024} KB)")


def top(place: Path) -> None:
    if not (TOP.exists() and TERMINAL_SVG.exists() and shutil.which("tmux")):
        say("no docs/top.svg: it takes gcpreload-top, scripts/terminal_svg.py and tmux")
        return
    session = ["tmux", "-L", f"gcpreload-{os.getpid()}"]
    command = f"exec {TOP} --dir {place}"
    subprocess.run([*session, "new-session", "-d", "-x", "120", "-y", "14", command], check=True)
    try:
        time.sleep(8)
        seen = subprocess.run(
            [*session, "capture-pane", "-p", "-e"], stdout=subprocess.PIPE, check=True
        )
        drawn = subprocess.run(
            [sys.executable, TERMINAL_SVG], input=seen.stdout, stdout=subprocess.PIPE, check=True
        )
        (DOCS / "top.svg").write_bytes(drawn.stdout)
        say("docs/top.svg")
    finally:
        subprocess.run([*session, "kill-server"], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/screenshots", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=240, help="of load (%(default)s)")
    parser.add_argument("--phone", metavar="DIR", type=Path, help="also as on a phone, there")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, demo.stop)
    demo.build(demo.Progress())
    python = venvs.venv("demo", venvs.system_interpreter())
    name = f"gcpreload-screenshots-{os.getpid()}-"
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=name, dir="/dev/shm")))
        ports = stack.enter_context(services(python, place, options.seconds / 2))
        address = stack.enter_context(exporter(place))
        driver = stack.enter_context(browser())
        look_like(driver, 1280, 1000, "light")
        driver.get(address)
        threads = loaded(ports, options.seconds)
        say(f"{options.seconds:g} s of load")
        time.sleep(max(0, options.seconds - 20))
        for name, look in PAGES.items():
            picture(driver, DOCS / f"{name}.png", *look)
        if options.phone:
            for name, look in PHONES.items():
                picture(driver, options.phone / f"{name}.png", *look)
        top(place)
        for thread in threads:
            thread.join()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except demo.Failed as error:
        say(str(error))
        sys.exit(1)
