"""One table drives the library, the command's help and the example file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lib.paths import APPS, COMMAND, ROOT
from lib.run import environment, run
from venvs import Interpreter

TABLE = (ROOT / "rules" / "settings.def").read_text()
SETTINGS = re.findall(r'^SETTING\((\w+), \w+, "([^"]*)"', TABLE, re.MULTILINE)
ONLY_IN_THE_ENVIRONMENT = ("DISABLE", "CONF")
EXAMPLE = ROOT / "gcpreload.conf.example"


def test_the_table_is_read() -> None:
    assert len(SETTINGS) == TABLE.count("\nSETTING(") > 10


@pytest.mark.parametrize(("name", "default"), SETTINGS)
def test_run_help_names_it(name: str, default: str) -> None:
    help_text = run([COMMAND, "run", "--help"], environment()).stdout.decode()
    assert f"--{name.lower().replace('_', '-')} " in help_text
    assert " ".join(f"default: {default}".split()) in " ".join(help_text.split()) or not default


@pytest.mark.parametrize(("name", "default"), SETTINGS)
def test_the_example_file_has_its_default(name: str, default: str) -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert (f"#{name.lower()} = {default}".rstrip() in lines) == (
        name not in ONLY_IN_THE_ENVIRONMENT
    )


def test_the_example_file_works(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """With every line of it in force."""
    conf = tmp_path / "gcpreload.conf"
    text = re.sub(r"^#(\w+ =|\[)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    conf.write_text(text.replace("/dev/shm", str(ring_dir)))
    env = environment(ring_dir, GCPRELOAD_CONF=str(conf))
    done = run([system_python.path, APPS / "ready_once.py"], env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"50000" in done.stdout
