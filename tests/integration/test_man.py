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


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """As man shows them, without its formatting."""
    if not shutil.which("scdoc"):
        pytest.skip("scdoc is missing")
    into = tmp_path_factory.mktemp("man")
    subprocess.run(["python3", ROOT / "scripts" / "man.py", COMMAND.parent, into], check=True)
    found = {}
    for source in into.glob("*.scd"):
        page = subprocess.run(
            ["scdoc"], input=source.read_bytes(), capture_output=True, check=True
        ).stdout
        found[source.stem] = re.sub(r"\\f[BIRP]|\\&|\\(?=-)", "", page.decode())
    return found


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
    assert {f"gcpreload-{name}.1" for name in COMMANDS} <= set(pages)
    for name in COMMANDS:
        for option in re.findall(r"--[a-z-]+", command(name, "--help").stdout.decode()):
            assert option in pages[f"gcpreload-{name}.1"], (name, option)
        assert f"gcpreload-{name}" in pages["gcpreload.1"]


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
    assert completed("set", "mode=") == [f"mode={mode}" for mode in modes]
