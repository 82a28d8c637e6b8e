"""The exporter's page, in a real browser, against what ps and report say."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, DRIVER, browser, look_like
from lib.export import PROGRAM, served
from lib.paths import COMMAND, DEADLINE
from lib.ports import reserved_port
from lib.puppet import Puppet
from lib.rings import Process, command, ring_files
from lib.run import environment, run, wait_for
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_export import exporter, fetch
from venvs import Interpreter

Row = dict[str, str]
COUNTS, LONGEST = "Collections 0 / 1 / 2", "Longest 0 / 1 / 2"
HOSTILE = "</script><script>window.owned=1</script><!--<i x='\"&\n\u2028\udcff"
DARK, LIGHT = "dark", "light"
NONE = "\u2013"
# Offsets of ring/layout.h.
PID, SERVICE, SERVICE_SIZE = 160, 992, 64

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="libmicrohttpd-dev is missing"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or its driver is missing"),
]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def one_browser(downloads: Path) -> Iterator[webdriver.Chrome]:
    with browser(downloads) as driver:
        yield driver


@pytest.fixture
def page(one_browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """A browser; what any script of a page complained of fails the test."""
    one_browser.get("about:blank")
    one_browser.get_log("browser")
    look_like(one_browser, 1280, 900, LIGHT)
    yield one_browser
    assert not complaints(one_browser)


def complaints(driver: webdriver.Chrome) -> list[str]:
    """But that an exporter has ended, as it does in every test."""
    said = [e["message"] for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    return [one for one in said if not ("/data.json" in one and "net::ERR_" in one)]


def rows(driver: webdriver.Chrome, selector: str = "#processes tbody tr") -> list[Row]:
    """Of a table of the page: what is read, by the head of the column."""
    script = """
        return [...document.querySelectorAll(arguments[0])].map((row) => Object.fromEntries(
            [...row.children].map((cell, i) => [
                [...row.closest("table").tHead.rows].pop().cells[i].textContent || "name",
                cell.textContent])));
    """
    return driver.execute_script(script, selector)


def row_of(driver: webdriver.Chrome, pid: int) -> Row | None:
    return next((row for row in rows(driver) if row["PID"] == str(pid)), None)


def opened(driver: webdriver.Chrome, url: str, pid: int) -> Row:
    driver.get(url)
    return wait_for("the process on the page", lambda: row_of(driver, pid))


def counted(driver: webdriver.Chrome, pid: int, expected: str) -> None:
    def look() -> bool:
        row = row_of(driver, pid)
        return bool(row and row[COUNTS] == expected)

    wait_for(f"{expected} on the page", look)


def text(driver: webdriver.Chrome, selector: str) -> str:
    return driver.find_element(By.CSS_SELECTOR, selector).text


def choose(driver: webdriver.Chrome, scope: str) -> None:
    """The page makes its options anew with each answer."""
    wait = WebDriverWait(driver, DEADLINE, ignored_exceptions=[StaleElementReferenceException])
    options = (By.ID, "scope")
    wait.until(lambda d: not Select(d.find_element(*options)).select_by_visible_text(scope))


def tiles(driver: webdriver.Chrome) -> dict[str, str]:
    return driver.execute_script("""
        return Object.fromEntries([...document.querySelectorAll("#tiles > div")].map((one) =>
            [one.children[0].textContent, one.children[1].textContent]));
    """)


def counts(process: Process) -> str:
    totals = [0, 0, 0]
    for part in process.gc:
        totals[part["generation"]] += part["collections"]
    return " / ".join(f"{n:,}" for n in totals)


def asked(url: str) -> Any:  # noqa: ANN401 - whatever JSON has
    kind, body = fetch(url)
    assert kind == "application/json"
    return json.loads(body)


def requests(driver: webdriver.Chrome) -> list[str]:
    return driver.execute_script(
        'return performance.getEntriesByType("resource").map((entry) => entry.name)'
    )


def report(ring_dir: Path, pid: int) -> dict[str, Any]:
    done = command("report", "--json", "--dir", ring_dir, str(pid))
    (process,) = json.loads(done.stdout)["processes"]
    return {period["period"]: period for period in process["periods"]}


# ---- what is shown ----


def test_it_shows_what_ps_shows(
    one_of_two_pythons: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with (
        Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_SERVICE="shop") as puppet,
        exporter(ring_dir) as url,
    ):
        shown = served(puppet)
        row = opened(page, url, puppet.pid)
        expected = {
            "Service": "shop",
            "Python": shown.python,
            "State": "ready",
            "Reason": shown.reason or NONE,
            "Mode": "freeze",
            "Frozen": f"{shown.frozen_objects:,}",
            COUNTS: counts(shown),
        }
        assert {name: row[name] for name in expected} == expected
        assert 0 < float(row["GC share"].removesuffix(" %")) <= 100
        longest = [
            part["max_seconds"] for part in report(ring_dir, puppet.pid)["tuned"]["generations"]
        ]
        (listed,) = asked(f"{url}/data.json")["processes"]
        assert listed["max_seconds"] == longest
        assert tiles(page)["Processes"] == "1"
        assert tiles(page)["Frozen objects"] == f"{shown.frozen_objects:,}"
        wait_for("a second look", lambda: len(requests(page)) > 1)
        assert all(name.startswith(f"{url}/data.json") for name in requests(page))


def test_it_follows(system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet, exporter(ring_dir) as url:
        served(puppet)
        before = opened(page, url, puppet.pid)[COUNTS]
        for _ in range(3):
            puppet.do("gc.collect()")
            now = counts(puppet.shown())
            assert now != before
            counted(page, puppet.pid, now)
            before = now


def test_it_survives_the_exporter(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    def status(begins: str) -> None:
        wait_for(f"the status {begins}", lambda: text(page, "#status").startswith(begins))

    with Puppet(system_python, ring_dir) as puppet, reserved_port() as port:
        words = ("--listen", f"127.0.0.1:{port}")
        served(puppet)
        with exporter(ring_dir, *words) as url:
            opened(page, url, puppet.pid)
            status("live")
        status("not connected since ")
        puppet.do("gc.collect()")
        with exporter(ring_dir, *words):
            status("live")
            now = counts(puppet.shown())
            counted(page, puppet.pid, now)


def test_hidden_it_asks_nobody(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    # A headless browser shows every window: the page is told what a real one would say.
    hide = """
        Object.defineProperty(document, "hidden", {get: () => arguments[0], configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    """
    waits = "return state.timer !== null && !document.hidden"
    with Puppet(system_python, ring_dir) as puppet, exporter(ring_dir) as url:
        served(puppet)
        opened(page, url, puppet.pid)
        wait_for("a second look", lambda: len(requests(page)) > 1)
        page.execute_script(f"(function () {{ {hide} }})(true)")
        asked_for = len(requests(page))
        # Others' clocks go on: what was due has long been.
        page.set_script_timeout(60)
        page.execute_async_script("setTimeout(arguments[0], 2.5 * POLL_SECONDS * 1000)")
        assert len(requests(page)) <= asked_for + 1  # one was on its way
        page.execute_script(f"(function () {{ {hide} }})(false)")
        wait_for("another look", lambda: len(requests(page)) > asked_for + 1)
        assert page.execute_script(waits)


def test_the_last_minutes_are_there_at_once(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        puppet.do("[gc.collect(g) for g in (0, 1, 2, 2)]")
        tuned = report(ring_dir, puppet.pid)["tuned"]
        with exporter(ring_dir) as url:
            wait_for("a whole bin", lambda: asked(f"{url}/data.json?history")["total"]["history"])
            samples = asked(f"{url}/data.json?history")["total"]["history"]
            known = [sample for sample in samples if sample]
            for g, part in enumerate(tuned["generations"]):
                found = [sample["generations"][g] for sample in known]
                assert sum(one["n"] for one in found) == part["collections"]
                assert max(one["longest"] for one in found) == part["max_seconds"]
            inside = sum(sample["inside"] for sample in known)
            assert inside == pytest.approx(tuned["in_request_seconds"])
            opened(page, url, puppet.pid)
            marks = "#pauses svg[role=img] title"
            said = [
                e.get_attribute("textContent") for e in page.find_elements(By.CSS_SELECTOR, marks)
            ]
            assert any("generation 2" in one for one in said)


def test_before_and_after(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_BASELINE="0.2") as puppet:
        puppet.do("gc.collect()", "one = listen()", "arm(one)", "garbage(20000)", "gc.collect()")
        puppet.wait_for("ready", "garbage()")
        puppet.do("garbage(60000)", "gc.collect(2)", "gc.disable()")
        periods = report(ring_dir, puppet.pid)
        with exporter(ring_dir) as url:
            opened(page, url, puppet.pid)
            found = {row["name"]: row for row in rows(page, "#gain tbody tr")}
            said = text(page, "#gain-about")
    assert said.startswith("Stock and tuned are not compared: only ")
    for g in range(3):
        row = found[f"Generation {g}: collections"]
        for head, period in (
            ("Start-up", "startup"),
            ("Stock GC", "baseline"),
            ("Tuned", "tuned"),
        ):
            assert row[head] == f"{periods[period]['generations'][g]['collections']:,}"
    # Start-up is nobody's gain.
    for name in ("… in requests", "Longest pause in requests"):
        assert found[name]["Start-up"] == ""
        assert found[name]["Stock GC"]
        assert found[name]["Tuned"]


def test_tuned_beside_untuned(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with (
        Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0") as left,
        Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0.999999") as chosen,
        exporter(ring_dir) as url,
    ):
        for puppet in (left, chosen):
            puppet.do(
                "one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()"
            )
        opened(page, url, chosen.pid)
        found = {row["name"]: row for row in rows(page, "#sample tbody tr")}
        expected = {
            "Untuned: 1": report(ring_dir, left.pid)["baseline"],
            "Tuned: 1": report(ring_dir, chosen.pid)["tuned"],
        }
        for g in range(3):
            row = found[f"Generation {g}: collections"]
            for head, period in expected.items():
                assert row[head] == f"{period['generations'][g]['collections']:,}"
        assert row_of(page, left.pid)["Mode"] == "observe (sample: untuned)"
        assert row_of(page, left.pid)["State"] == "observing"


def test_without_a_sample_there_is_no_table(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as puppet, exporter(ring_dir) as url:
        served(puppet)
        opened(page, url, puppet.pid)
        assert not page.find_element(By.ID, "sample-section").is_displayed()


def test_one_of_several_services(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with (
        Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as shop,
        Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="search") as search,
        exporter(ring_dir) as url,
    ):
        for puppet in (shop, search):
            served(puppet)
        opened(page, url, shop.pid)
        assert {row["PID"] for row in rows(page)} == {str(shop.pid), str(search.pid)}
        assert [row["Service"] for row in rows(page, "#gain tbody tr")] == ["search", "shop"]
        choose(page, "search")
        assert [row["PID"] for row in rows(page)] == [str(search.pid)]
        assert tiles(page)["Processes"] == "1"


def test_nothing_to_show(page: webdriver.Chrome, ring_dir: Path) -> None:
    with exporter(ring_dir) as url:
        page.get(url)
        wait_for("the page", lambda: "No running process" in text(page, "#processes"))
        assert tiles(page)["Processes"] == "0"
        assert tiles(page)["Time in collections"] == NONE


# ---- how it looks ----


def test_light_and_dark(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    script = """
        const style = getComputedStyle(document.querySelector("section.wide"));
        return [style.color, style.backgroundColor].map((color) =>
            color.match(/\\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0));
    """
    with Puppet(system_python, ring_dir) as puppet, exporter(ring_dir) as url:
        served(puppet)
        opened(page, url, puppet.pid)
        for scheme in (LIGHT, DARK):
            look_like(page, 1280, 900, scheme)
            ink, paper = page.execute_script(script)
            assert (ink > paper) == (scheme == DARK)


@pytest.mark.parametrize("width", [360, 768, 1040, 1280])
def test_no_width_scrolls_sideways(
    system_python: Interpreter, page: webdriver.Chrome, width: int, ring_dir: Path
) -> None:
    look_like(page, width, 740, LIGHT)
    with (
        Puppet(
            system_python, ring_dir, GCPRELOAD_SAMPLE="0", GCPRELOAD_SERVICE="s" * 63
        ) as puppet,
        Puppet(system_python, ring_dir, GCPRELOAD_SAMPLE="0.999999") as other,
        exporter(ring_dir, "--show-commands") as url,
    ):
        served(other)
        puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()")
        opened(page, url, puppet.pid)
        for scope in ("all 2", other.shown().service["name"], "s" * 63):
            choose(page, scope)
            wide = page.execute_script("""
                return [document.documentElement, ...document.querySelectorAll("section")]
                    .filter((one) => one.scrollWidth > one.clientWidth)
                    .map((one) => [one.id, one.scrollWidth, one.clientWidth]);
            """)
            assert not wide
            assert page.execute_script("return document.documentElement.clientWidth") <= width


# ---- what may not be ----


def test_hostile_texts_are_texts(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path, tmp_path: Path
) -> None:
    program = [system_python.path, Path("tests/apps/puppet.py").resolve(), HOSTILE]
    shown = HOSTILE.encode(errors="surrogateescape").decode(errors="replace")
    with (
        Puppet(system_python, ring_dir, program=program, GCPRELOAD_SERVICE=HOSTILE[:50]) as puppet,
        exporter(ring_dir, "--show-commands") as url,
    ):
        served(puppet)
        saved = tmp_path / "saved.html"
        done = command("export", "--page", saved, "--show-commands", "--dir", ring_dir)
        assert (done.returncode, done.stderr) == (0, b"")
        for address in (url, saved.as_uri()):
            row = opened(page, address, puppet.pid)
            assert shown in row["Command"]
            assert row["Service"] == HOSTILE[:50]
            assert page.execute_script("return window.owned") is None
            assert not page.find_elements(By.TAG_NAME, "i")
        assert "</script><script>" not in saved.read_text()


def test_commands_only_where_asked(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        for words in ((), ("--show-commands",)):
            with exporter(ring_dir, *words) as url:
                for path in ("/data.json", "/data.json?history", "/?save", "/"):
                    there = "puppet.py" in fetch(url + path)[1]
                    assert there == (bool(words) and path != "/")


def test_the_policy_lets_no_other_script_run(
    system_python: Interpreter, one_browser: webdriver.Chrome, ring_dir: Path
) -> None:
    page = one_browser
    look_like(page, 1280, 900, LIGHT)
    with Puppet(system_python, ring_dir) as puppet, exporter(ring_dir) as url:
        served(puppet)
        opened(page, url, puppet.pid)
        assert not complaints(page)
        page.execute_script("""
            const script = document.createElement("script");
            script.textContent = "window.owned = 1";
            document.body.append(script);
        """)
        assert page.execute_script("return window.owned") is None
        with exporter(ring_dir) as other:
            refused = page.execute_async_script(
                "const [url, done] = arguments; fetch(url, {mode: 'no-cors'})"
                ".then(() => done(false), () => done(true))",
                other,
            )
        assert refused
        assert all("Content Security Policy" in one for one in complaints(page))


# ---- saving ----


def charts(driver: webdriver.Chrome) -> list[str]:
    return driver.execute_script(
        'return [...document.querySelectorAll("svg[role=img]")].map((one) => one.outerHTML)'
    )


def everything(driver: webdriver.Chrome) -> Any:  # noqa: ANN401
    return rows(driver), rows(driver, "#gain tbody tr"), tiles(driver), charts(driver)


def test_save(
    system_python: Interpreter, page: webdriver.Chrome, downloads: Path, ring_dir: Path
) -> None:
    with (
        Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=HOSTILE[:50]) as puppet,
        exporter(ring_dir) as url,
    ):
        served(puppet)
        opened(page, url, puppet.pid)
        wait_for("a chart", lambda: page.find_elements(By.CSS_SELECTOR, "#share svg[role=img]"))
    wait_for("the end of it", lambda: text(page, "#status").startswith("not connected"))
    before = everything(page)
    page.find_element(By.ID, "save").click()
    (saved,) = wait_for("the file", lambda: list(downloads.glob("gcpreload-*.html")))
    page.get(saved.as_uri())
    saved.rename(saved.with_suffix(".old"))
    assert text(page, "#status").startswith("saved 20")
    assert everything(page) == before
    assert before[3]
    assert requests(page) == []
    assert not page.find_element(By.ID, "save").is_displayed()
    assert page.execute_script("return window.owned") is None


def test_the_exporter_saves(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / "written.html", tmp_path / "fetched.html"]
    with Puppet(system_python, ring_dir) as puppet:
        shown = served(puppet)
        assert command("export", "--page", paths[0], "--dir", ring_dir).returncode == 0
        with exporter(ring_dir) as url, urllib.request.urlopen(f"{url}/?save") as answer:
            assert answer.headers["Content-Disposition"].startswith("attachment;")
            paths[1].write_bytes(answer.read())
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        row = opened(page, path.as_uri(), puppet.pid)
        assert row[COUNTS] == counts(shown)
        assert text(page, "#status").startswith("saved 20")
        assert requests(page) == []
    done = command("export", "--page", tmp_path / "no" / "page.html", "--dir", ring_dir)
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    assert command("export", "--page", paths[0], "--once", "--dir", ring_dir).returncode == 2


# ---- HTTP ----


def test_heads_and_methods(ring_dir: Path) -> None:
    with exporter(ring_dir) as url:
        for path in ("/", "/data.json", "/?save"):
            answers = []
            for method in ("GET", "HEAD"):
                request = urllib.request.Request(url + path, method=method)
                with urllib.request.urlopen(request) as answer:
                    answers.append((answer.headers, answer.read()))
                assert answers[-1][0]["Cache-Control"] == "no-store"
            assert answers[0][1]
            assert not answers[1][1]
            if path == "/":
                policy = answers[0][0]["Content-Security-Policy"]
                assert policy == answers[1][0]["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'sha256-")
                assert "unsafe" not in policy
                assert "http" not in re.sub(r"<svg xmlns='http[^']*'", "", policy)
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(urllib.request.Request(url + path, b"x", method="POST"))
            assert error.value.code == 405


# ---- many ----


@contextlib.contextmanager
def copies(ring: Path, number: int) -> Iterator[None]:
    """Of a ring: as many living processes, for all that a reader can see."""
    with contextlib.ExitStack() as stack:
        for i in range(number):
            pid = 1000000 + i
            path = ring.with_name(f"{pid}.{i}.{i:016x}")
            shutil.copy(ring, path)
            file = stack.enter_context(path.open("r+b"))
            file.seek(PID)
            file.write(struct.pack("i", pid))
            file.seek(SERVICE)
            file.write(f"service {i % 50}".encode().ljust(SERVICE_SIZE, b"\0"))
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_thousand_processes(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        (ring,) = ring_files(ring_dir)
        (own,) = json.loads(command("ps", "--json", "--dir", ring_dir).stdout)
        with copies(ring, 1000), exporter(ring_dir) as url:
            body = fetch(f"{url}/data.json")[1]
            assert len(body) < 512 * 1024
            data = json.loads(body)
            assert data["total"]["processes"] == 1001
            assert data["total"]["frozen_objects"] == 1001 * own["frozen_objects"]
            assert len(data["processes"]) == 200
            shares = [process["gc_time_share"] for process in data["processes"]]
            assert shares == sorted(shares, reverse=True)
            assert (data["n_services"], len(data["services"])) == (51, 30)
            page.get(url)
            wait_for("the page", lambda: tiles(page).get("Processes") == "1,001")
            assert len(rows(page)) == 200
            assert "The 200 of 1,001" in text(page, "#processes-about")


def test_more_rings_than_descriptors(
    system_python: Interpreter, page: webdriver.Chrome, ring_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    with Puppet(system_python, ring_dir) as puppet:
        shown = served(puppet)
        (ring,) = ring_files(ring_dir)
        with copies(ring, 60):
            few = ["prlimit", "--nofile=64:64", COMMAND, "export", "--page", file]
            done = run([*few, "--dir", ring_dir], environment())
            assert (done.returncode, done.stderr) == (0, b"")
    page.get(file.as_uri())
    wait_for("the page", lambda: tiles(page).get("Processes") == "61")
    assert {row[COUNTS] for row in rows(page)} == {counts(shown)}
