"""Manual pages and shell completion know what the programs know."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.paths import COMMAND, ROOT
from lib.rings import command
from lib.run import environment, run
from lib.settings import SETTINGS

COMMANDS = re.findall(r"^  ([a-z]+)  ", command("--help").stdout.decode(), re.M)


SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "SEE ALSO"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each page as man reads it."""
    if not shutil.which("scdoc"):
        pytest.skip("scdoc is missing")
    into = tmp_path_factory.mktemp("man")
    subprocess.run(["python3", ROOT / "scripts" / "man.py", COMMAND.parent, into], check=True)
    for source in into.glob("*.scd"):
        done = subprocess.run(
            ["scdoc"], input=source.read_bytes(), capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), source.name
        source.with_suffix("").write_bytes(done.stdout)
    return {path.stem: path.with_suffix("") for path in into.glob("*.scd")}


@pytest.fixture(scope="module")
def pages(sources: dict[str, Path]) -> dict[str, str]:
    """Each page without the formatting of its text."""
    return {
        name: re.sub(r"\\f[BIRP]|\\&|\\(?=-)", "", path.read_text())
        for name, path in sources.items()
    }


def sections(page: str) -> dict[str, str]:
    _, *parts = re.split(r"^\.SH (.*)\n", page, flags=re.M)
    return dict(zip(parts[::2], parts[1::2]))


def test_programs_beside_it_are_commands(tmp_path: Path) -> None:
    """Listed where they are; else it is said what they need."""
    beside = [p.name.partition("-")[2] for p in COMMAND.parent.glob("gcpreload-*")]
    assert set(beside) <= set(COMMANDS)
    alone = Path(shutil.copy(COMMAND, tmp_path))
    listed = re.findall(
        r"^  ([a-z]+)  ", run([alone, "--help"], environment()).stdout.decode(), re.M
    )
    assert listed == [name for name in COMMANDS if name not in beside]
    env = {**environment(), "PATH": str(tmp_path)}
    for name, package in (("export", "libmicrohttpd-dev"), ("top", "libncurses-dev")):
        done = run([alone, name], env)
        assert done.returncode == 1
        assert f"gcpreload-{name} is not installed; to build it, install {package}" in str(done)
        assert f"Debian's and rpm's is gcpreload-{name}" in str(done)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_terminal(name: str) -> None:
    """80 columns, and no line is empty at its end."""
    done = command(*([name] if name else []), "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith(f"usage: gcpreload {name}".rstrip())
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []


def test_a_page_for_each_command(pages: dict[str, str]) -> None:
    assert len(COMMANDS) >= 10
    assert set(pages) == {
        "gcpreload.1",
        "gcpreload.conf.5",
        *(f"gcpreload-{name}.1" for name in COMMANDS),
    }
    for name in COMMANDS:
        assert f"gcpreload-{name}(1)" in pages["gcpreload.1"]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_says_is_in_the_page(pages: dict[str, str], name: str) -> None:
    """Each option has an entry of its own, with its text; variables are where they belong."""
    found = sections(pages[f"gcpreload-{name}.1"])
    help_text = command(name, "--help").stdout.decode()
    options = re.findall(r"^  (?:-\w, )?(-[-\w]+)", help_text, re.M)
    assert options or name == "path"  # which has no option of its own
    entries = re.findall(r"^(-.*)\n\.RS 4\n(.+)", found["OPTIONS"], re.M)
    for option in options:
        (text,) = [text for flags, text in entries if option in re.findall(r"-[-\w]+", flags)]
        assert len(text) > 5, option
    for variable in re.findall(r"\b(?:OTEL|GCPRELOAD)_[A-Z_]*[A-Z]\b", help_text):
        assert variable in pages[f"gcpreload-{name}.1"], variable
    summary = re.sub(r"\s+", " ", help_text.split("\n\n")[1])
    assert f"gcpreload-{name} - {summary}" in found["NAME"]


def test_each_page_has_its_sections(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        found = sections(page)
        wanted = [*SECTIONS[:-1], *(["EXIT STATUS"] if name.endswith(".1") else []), SECTIONS[-1]]
        assert [section for section in found if section in wanted] == wanted, name
        for section, text in found.items():
            assert re.search(r"^[^.\s]", text, re.M), (name, section)
        assert "/dev/shm/gcpreload-UID/" in found["FILES"] or name in (
            "gcpreload-run.1",
            "gcpreload-doctor.1",
            "gcpreload-path.1",
        )
        assert "GCPRELOAD_" in found["ENVIRONMENT"], name


def test_examples_are_understood(pages: dict[str, str]) -> None:
    """No example has an option that the command does not know."""
    number = 0
    for name in COMMANDS:
        known = command(name, "--help").stdout.decode()
        text = sections(pages[f"gcpreload-{name}.1"])["EXAMPLES"]
        for line in re.findall(rf"^gcpreload {name}\b.*", text, re.M):
            number += 1
            for option in re.findall(r"(?<!\S)--?[a-z1][-\w]*", line.split(" -- ")[0]):
                assert re.search(rf"(?<!\S){option}\b", known), line
    assert number > len(COMMANDS)


def test_man_shows_them_without_warnings(sources: dict[str, Path]) -> None:
    man = shutil.which("man")
    if not man:
        pytest.skip("man is missing")
    for path in sources.values():
        env = {**environment(), "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
        done = run([man, "--warnings", "-l", path], env)
        assert (done.returncode, done.stderr) == (0, b""), path
        assert b"EXAMPLES" in done.stdout


def test_the_settings_page_has_them_all(pages: dict[str, str]) -> None:
    page = " ".join(pages["gcpreload.conf.5"].split())
    for setting in SETTINGS:
        name = setting.name.lower()
        assert f"{setting.variable}, {name}" in page, name
        assert setting.help[1:] in page, name
        assert f"({setting.allowed}" in page, name


COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_gcpreload
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words: str, path: Path = COMMAND.parent) -> list[str]:
    env = environment()
    env["PATH"] = f"{path}:{env['PATH']}"
    script = ROOT / "completion" / "gcpreload.bash"
    done = run(["bash", "-c", COMPLETE, "bash", script, "gcpreload", *words], env)
    assert done.stderr == b""
    return done.stdout.decode().split()


def test_completion() -> None:
    assert set(COMMANDS) < set(completed(""))
    assert completed("re") == ["report", "ready"] or set(completed("re")) == {"report", "ready"}
    assert "--compare" in completed("report", "--")
    assert completed("run", "--mode", "i") == ["idle"]
    assert completed("run", "--mode", "=", "i") == ["idle"]
    assert completed("run", "-m", "o") == ["off", "observe"]
    assert "mode=freeze" in completed("set", "mode=")
    assert "true" in completed("run", "--", "tru")


def test_completion_of_the_settings() -> None:
    """Those of the table, with the words that each may be."""
    assert {setting.option for setting in SETTINGS} <= set(completed("run", "--"))
    for setting in SETTINGS:
        if setting.type == "choice":
            assert completed("run", setting.option, "") == setting.words()
            assert completed("run", setting.option, "=") == setting.words()
    assert completed("run", "--force", "=") == ["0", "1"]
    modes = next(setting for setting in SETTINGS if setting.name == "MODE").words()
    assert completed("set", "mode=") == [f"mode={mode}" for mode in [*modes, "default"]]
