"""The house of DESIGN.md, computed from what the compiler made: who needs whom, and no circle."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from lib.arrows import (
    TABLE,
    Edges,
    Objects,
    circles,
    ill_named,
    included,
    inline_functions,
    not_drawn,
    read_allowed,
    read_objects,
    rooms_of,
)
from lib.paths import BUILD, ROOT
from lib.run import environment

ALLOWED = read_allowed((ROOT / "DESIGN.md").read_text())
ROOMS = rooms_of(ROOT, ALLOWED)
EXPORTED = set(re.findall(r"^\t\t(\w+);", (ROOT / "preload/exports.map").read_text(), re.M))
# A static function that is inlined away has a name all the same.
FLAGS = "-O2 -fkeep-static-functions"


@pytest.fixture(scope="module")
def directory() -> Path:
    words = ["make", "-j2", "-C", ROOT, "CC=gcc", f"B={BUILD / 'arrows'}", f"CFLAGS={FLAGS}"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return BUILD / "arrows"


@pytest.fixture(scope="module")
def trees(directory: Path) -> list[Objects]:
    """The library's objects and the command's, with those of the programs beside it; without
    what is left of a file that is no more."""
    found = []
    for tree in ("lib", "cli"):
        for path in (directory / tree).rglob("*.o"):
            if not (ROOT / path.relative_to(directory / tree)).with_suffix(".c").is_file():
                path.unlink()
        found.append(read_objects(directory / tree))
    return found


@pytest.fixture(scope="module")
def edges(trees: list[Objects]) -> Edges:
    both: Edges = {}
    for objects in trees:
        for arrow, symbols in objects.edges().items():
            both.setdefault(arrow, set()).update(symbols)
    return both


def none(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_the_house_is_all_of_the_tree(trees: list[Objects]) -> None:
    """A folder of C files that DESIGN.md does not know would not be looked at."""
    tracked = {str(p.parent.relative_to(ROOT)) for p in ROOT.glob("*/*.[ch]")}
    tracked |= {str(p.parent.relative_to(ROOT)) for p in ROOT.glob("cli/*/*.[ch]")}
    assert sorted(tracked) == sorted(ROOMS)
    for objects in trees:
        assert len(objects.functions) > 100


def test_no_arrow_but_those_that_are_drawn(edges: Edges) -> None:
    none(not_drawn(edges, ALLOWED) + not_drawn(included(ROOT, ROOMS), ALLOWED))


def test_no_circle_of_files(edges: Edges) -> None:
    none(circles(edges))


def test_names_of_functions(trees: list[Objects]) -> None:
    inline, excused = inline_functions(ROOT, ROOMS), EXPORTED | {"main"}
    none([line for objects in trees for line in ill_named(objects, inline, excused)])


# ------------------------------------------------------------ what is looked for is found


def drawn(*arrows: str) -> Edges:
    return {tuple(arrow.split(" -> ")): {"symbol"} for arrow in arrows}


@pytest.mark.parametrize(
    "arrow",
    [
        "base/clock.c -> ring/file.c",
        "ring/file.c -> inject/pyapi.c",
        "rules/trigger.c -> ring/raw.c",
        "inject/observer.c -> engine/tuner.c",
        "engine/tuner.c -> preload/ready.c",
        "preload/ready.c -> cli/text.c",
        "cli/text.c -> preload/ready.c",
        "cli/text.c -> cli/doctor/chain.c",
        "cli/doctor/chain.c -> cli/top/view.c",
        "cli/doctor/chain.c -> engine/tuner.c",
        "attic/file.c -> base/clock.c",
    ],
)
def test_an_arrow_that_is_not_drawn_is_found(arrow: str) -> None:
    allowed_one = "preload/ready.c -> engine/act.c"
    assert not_drawn(drawn(allowed_one, arrow), ALLOWED) == [f"{arrow}: symbol"]


@pytest.mark.parametrize(
    "arrow",
    [
        f"{TABLE} -> cli/doctor/cmd_doctor.c",
        "cli/doctor/chain.c -> cli/text.c",
        "cli/top/view.c -> ring/reader.c",
        "preload/ready.c -> base/clock.c",
        "base/clock.c -> base/self.c",
    ],
)
def test_an_arrow_that_is_drawn_is_not_found(arrow: str) -> None:
    assert not_drawn(drawn(arrow), ALLOWED) == []


def test_a_circle_is_found() -> None:
    straight = ["a/1.c -> a/2.c", "a/2.c -> b/3.c", "a/1.c -> b/3.c", "b/3.c -> c/4.c"]
    assert circles(drawn(*straight)) == []
    found = circles(drawn(*straight, "c/4.c -> a/2.c", "d/5.c -> a/1.c"))
    around = ["a/2.c -> b/3.c", "b/3.c -> c/4.c", "c/4.c -> a/2.c"]
    assert found == [f"{arrow}: symbol" for arrow in around]


def test_objects_and_includes_are_read(tmp_path: Path) -> None:
    """Data counts as much as functions, and so does what another file's static one hides."""
    files = {
        "base/low.c": "int low_word; extern int high_call(void);"
        "static __attribute__((noinline)) int look(int a) { return a + high_call(); }"
        "int low_call(int a) { return look(a) + look(a + 1); }",
        "base/low.h": '#include "preload/high.h"\n',
        "preload/high.c": "extern int low_word; int high_call(void) { return low_word; }"
        "static __attribute__((noinline)) int look(int a) { return a * low_word; }"
        "int high_again(int a) { return look(a) + look(a + 1); }",
        "preload/high.h": "static inline int high_inline(void)\n{\n\treturn 1;\n}\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if path.suffix == ".c":
            words = ["gcc", *FLAGS.split(), "-c", path, "-o", path.with_suffix(".o")]
            subprocess.run(words, check=True)
    objects = read_objects(tmp_path)
    edges = objects.edges()
    assert edges == {
        ("base/low.c", "preload/high.c"): {"high_call"},
        ("preload/high.c", "base/low.c"): {"low_word"},
    }
    assert not_drawn(edges, ALLOWED) == ["base/low.c -> preload/high.c: high_call"]
    assert circles(edges) == [
        "base/low.c -> preload/high.c: high_call",
        "preload/high.c -> base/low.c: low_word",
    ]
    rooms = ["base", "preload"]
    assert not_drawn(included(tmp_path, rooms), ALLOWED) == [
        'base/low.h -> preload/high.h: #include "preload/high.h"'
    ]
    assert inline_functions(tmp_path, rooms) == {"high_inline"}
    assert ill_named(objects, set(), {"main"}) == [
        "look: one word (base/low.c, preload/high.c)",
        "look: in base/low.c, preload/high.c",
    ]
