"""README and docs/: short enough to be read, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lib.export import PROGRAM as EXPORT
from lib.paths import COMMAND, ROOT
from lib.run import environment, run
from lib.settings import every_setting

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = {setting.name for setting in every_setting()}
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", page.read_text())


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def test_every_metric_is_listed(tmp_path: Path) -> None:
    """With the type and the help that /metrics has."""
    if not EXPORT.exists():
        pytest.skip("the exporter is left out here")
    done = run([COMMAND, "export", "--once", "--dir", tmp_path], environment())
    said = re.findall(r"# HELP (\S+) (.*)\n# TYPE \S+ (\S+)", done.stdout.decode())
    text = (ROOT / "docs" / "exporting.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `gcpreload_")]
    assert rows == [f"| `{name}` | {kind} | {help_} |" for name, help_, kind in said]
    assert len(rows) > 10


def test_readme_takes_minutes() -> None:
    assert len(README.read_text().split()) <= 1500


def test_readme_links_every_page() -> None:
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(links(README))


@by_name
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, part = link.partition("#")
        assert not path.startswith("http"), "say it in words: nothing here looks whether it lives"
        target = page.parent / path if path else page
        assert target.exists(), link
        if part:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert part in map(anchor, headings), link


@by_name
def test_a_page_has_a_heading_and_short_lines(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


@by_name
def test_settings_are_there(page: Path) -> None:
    named = set(re.findall(r"GCPRELOAD_([A-Z][A-Z_]*[A-Z])", page.read_text()))
    assert named <= SETTINGS


@by_name
def test_commands_and_options_are_there(page: Path) -> None:
    commands = set(run([COMMAND, "--help"], environment()).stdout.decode().split())
    for name, rest in re.findall(
        r"(?:`|^ {4})gcpreload ([a-z]+)([^`\n#]*)", page.read_text(), re.M
    ):
        assert name in commands, name
        options = re.findall(r" (--[a-z][a-z-]+)", rest.split(" -- ")[0])
        if options and COMMAND.with_name(f"gcpreload-{name}").exists() | (name != "export"):
            help_text = run([COMMAND, name, "--help"], environment()).stdout.decode()
            for option in options:
                assert option in f"{help_text} --help", f"{name} {option}"


def test_what_scripts_are_named_is_there() -> None:
    for page in PAGES:
        for path in re.findall(r"(?:\./)?(scripts/\w+|tests/[\w/]+\.py)", page.read_text()):
            assert (ROOT / path).exists(), path


def test_benchmarks_options_are_there() -> None:
    """Of `scripts/bench latency`, in the page that shows how."""
    text = (ROOT / "docs" / "benchmarks.md").read_text().replace("\\\n", " ")
    done = run([ROOT / "scripts" / "bench", "latency", "--help"], environment())
    named = {
        option
        for line in re.findall(r"scripts/bench latency([^\n`#]*)", text)
        for option in re.findall(r"--[a-z]+", line)
    }
    assert len(named) > 5
    assert {option for option in named if option not in done.stdout.decode()} == set()


def test_no_interval_stands_where_none_was_measured() -> None:
    """The old tables had some that were too narrow, and a sentence that one row refuted."""
    for page in PAGES:
        text = page.read_text()
        assert "gone in every mode" not in text
        assert not re.search(r"^\|.*\d \(\d[\d.]*-\d[\d.]*\)", text, re.M)


def test_they_are_installed_together(tmp_path: Path) -> None:
    done = run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}"], environment())
    assert done.returncode == 0, done.stderr
    place = tmp_path / "usr/local/share/doc/gcpreload"
    assert [(place / page.relative_to(ROOT)).read_bytes() for page in PAGES] == [
        page.read_bytes() for page in PAGES
    ]
    for link in links(place / "README.md"):
        assert (place / link.partition("#")[0]).exists(), link
