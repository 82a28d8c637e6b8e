"""scripts/matrix: it measures real programs, what is worse fails, and docs/matrix.md is what it
found. Three quick rows here; its fixed part with --all."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matrix_run
import pytest
from lib.paths import DEADLINE, LIBRARY, ROOT, SET_UP_DEADLINE
from lib.run import Completed, clean_environment, run, wait_for
from lib.server import children
from matrix_render import render
from matrix_verdict import compare
from matrix_workload import MATRIX_APPS, REQUIREMENTS
from venvs import Interpreter

MATRIX = ROOT / "scripts" / "matrix"
QUICK = ("asyncio.start_server", "a thread a request", "read on a pipe")
SERVERS = QUICK[:2]
MODES = ("freeze", "idle", "concurrent")


def matrix(
    *words: str | Path, library: Path = LIBRARY, deadline: float = 6 * DEADLINE
) -> Completed[bytes]:
    program = [sys.executable, ROOT / "scripts" / "matrix_run.py", "--library", library]
    return run([*program, *words], clean_environment(), deadline=deadline)


@dataclass(frozen=True)
class Measured:
    """Of the quick rows; in a page of its own."""

    page: Path
    rows: dict[str, dict[str, Any]]
    said: str

    def row(self, part: str) -> dict[str, Any]:
        (found,) = [row for name, row in self.rows.items() if part in name]
        return found


@pytest.fixture(scope="module")
def measured(system_python: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    page = tmp_path_factory.mktemp("matrix") / "matrix.json"
    words = [word for name in QUICK for word in ("--only", name)]
    python = ".".join(map(str, system_python.minor))
    done = matrix(*words, "--python", python, "--again", "--write", "--expected", page)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(page.read_text())["rows"]}
    return Measured(page, rows, done.stdout.decode())


def test_it_measures_real_programs(measured: Measured) -> None:
    assert len(measured.rows) == len(QUICK)
    for row in measured.rows.values():
        assert (row["error"], row["exit"]) == ("", -signal.SIGTERM)
        for cell in row["modes"].values():
            assert not cell["fault"], row
    for name in SERVERS:
        for mode in MODES:
            cell = measured.row(name)["modes"][mode]
            assert cell["answers"] == ["ready"]
            assert cell["frozen"] == "all"
    assert measured.row(QUICK[0])["modes"]["idle"]["share"] > 0.5
    assert measured.row(QUICK[0])["modes"]["freeze"]["verdict"] == "works"
    assert measured.row(QUICK[0])["modes"]["freeze"]["share"] == 0
    assert "3 rows are not in it" in measured.said


def test_it_writes_the_page(measured: Measured) -> None:
    rows = json.loads(measured.page.read_text())["rows"]
    text = measured.page.with_suffix(".md").read_text()
    assert text == render(rows)
    for row in rows:
        assert f"| {row['name']}" in text


def test_what_was_measured_is_kept(measured: Measured) -> None:
    """A run that goes on where one was interrupted; and it finds the same."""
    done = matrix("--only", QUICK[0], "--python", next(iter(measured.rows.values()))["python"],
                  "--expected", measured.page, deadline=DEADLINE)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"1 rows were measured with this library before" in done.stderr
    assert b"1 rows: 0 cells worse, 0 better" in done.stdout


def test_a_cell_that_is_worse_fails(measured: Measured, empty_library: Path) -> None:
    """With a library that does nothing."""
    done = matrix(
        "--only", QUICK[0], "--python", next(iter(measured.rows.values()))["python"],
        "--expected", measured.page, "--patience", "1", library=empty_library,
    )  # fmt: skip
    said = done.stdout.decode()
    assert done.returncode == 1, said
    for mode in MODES:
        assert f"{mode}: works" in said
    assert "3 cells worse" in said
    assert b"once more" in done.stderr


def everyone(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *everyone(child))]


def test_ctrl_c_ends_what_it_started(empty_library: Path) -> None:
    """While it waits for what does not come: that a process becomes ready."""
    words = [MATRIX, "--only", QUICK[0], "--again", "--patience", "600"]
    words += ["--library", empty_library]
    runner = subprocess.Popen(
        words, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )

    def places() -> list[Path]:
        return list(Path("/dev/shm").glob(f"gcpreload-matrix-{runner.pid}-*"))

    try:
        wait_for("its programs", lambda: len(places()) >= 4 and len(everyone(runner.pid)) >= 4)
        family = everyone(runner.pid)
        runner.send_signal(signal.SIGINT)
        said = runner.communicate(timeout=DEADLINE)[1].decode()
    finally:
        runner.kill()
        runner.wait()
    assert runner.returncode == 130, said
    assert places() == []
    assert "Traceback" not in said
    wait_for("their end", lambda: not [pid for pid in family if os.path.exists(f"/proc/{pid}")])


# ---- docs/matrix.md, and the rows ----


def test_the_page_is_what_was_measured() -> None:
    rows = json.loads((ROOT / "docs" / "matrix.json").read_text())["rows"]
    assert len(rows) > 50
    assert (ROOT / "docs" / "matrix.md").read_text() == render(rows)


def test_every_row_is_named_once_and_has_what_it_names() -> None:
    rows = matrix_run.everything()
    assert len({row.title for row in rows}) == len(rows)
    for row in rows:
        assert not row.env or (REQUIREMENTS / f"{row.env}.txt").exists(), row.title
        assert not row.asker or (MATRIX_APPS / f"{row.asker}.py").exists(), row.title


def test_the_fixed_part(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--all"):
        names = [row.title for row in matrix_run.everything() if row.fixed]
        pytest.skip(f"scripts/matrix, the fixed part of {len(names)} rows, is run by --all only")
    done = run([MATRIX], clean_environment(), deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stdout
    assert b"left out: " in done.stdout


# ---- what is worse ----

CELL = {
    "verdict": "works", "waits": "most", "share": 0.9, "others": ["parent"], "fault": "",
}  # fmt: skip
ROW = {"error": "", "modes": {mode: dict(CELL) for mode in MODES}}


@pytest.mark.parametrize(
    ("change", "worse", "better"),
    [
        ({}, 0, 0),
        ({"share": 0.4, "waits": "some", "verdict": "works, some at waits"}, 1, 0),
        # By chance on the other side of a limit.
        ({"share": 0.7, "waits": "some", "verdict": "works, some at waits"}, 0, 0),
        ({"verdict": "starting"}, 1, 0),
        ({"verdict": "harmed: +40 MB"}, 1, 0),
        ({"verdict": "FAILS: 1 wrong answers"}, 1, 0),
        ({"others": ["starting (not ready yet)"]}, 1, 0),
    ],
)
def test_what_is_worse(change: dict[str, Any], worse: int, better: int) -> None:
    new = copy.deepcopy(ROW)
    new["modes"]["idle"].update(change)
    assert [len(found) for found in compare(ROW, new)] == [worse, better]
    if worse and "others" not in change:
        assert [len(found) for found in compare(new, ROW)] == [better, worse]


def test_what_no_longer_runs_is_worse() -> None:
    broken = {"error": "no answer", "modes": {}}
    assert [len(found) for found in compare(ROW, broken)] == [1, 0]
    assert [len(found) for found in compare(broken, ROW)] == [0, 1]
    assert compare(broken, broken) == ([], [])
