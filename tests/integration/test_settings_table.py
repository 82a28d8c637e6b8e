"""One table drives the library, the command's help, the manual, and the example file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import settings_texts
from lib.paths import APPS, COMMAND, ROOT
from lib.run import environment, run
from lib.settings import SETTINGS, Setting, options_of_run
from venvs import Interpreter

EXAMPLE = ROOT / "gcpreload.conf.example"
EVERY = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)


def test_the_table_is_read() -> None:
    table = (ROOT / "rules" / "settings.def").read_text()
    assert len(SETTINGS) == len(re.findall(r"^\w*SETTING\(", table, re.M)) > 10


@EVERY
def test_run_help_names_it(setting: Setting) -> None:
    default = f"; default: {setting.default}" if setting.default else ""
    said = options_of_run()[setting.option]
    assert said == f"{setting.help} ({setting.allowed}{default})"


def test_run_has_no_other_options() -> None:
    assert set(options_of_run()) == {setting.option for setting in SETTINGS}


def test_the_texts_are_made_of_it() -> None:
    """scripts/settings_texts.py, which writes them, would change nothing."""
    text = settings_texts.PAGE.read_text()
    assert settings_texts.example(COMMAND) == EXAMPLE.read_text()
    assert settings_texts.page(COMMAND, text) == text
    names = re.findall(r"^#(\w+) =", EXAMPLE.read_text(), re.M)
    assert names[:-1] == [s.name.lower() for s in SETTINGS if not s.only_environment]
    assert re.findall(r"^\| `(\w+)` ", text, re.M) == [s.variable for s in SETTINGS]


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
    assert b'"frozen": 0}' not in done.stdout
