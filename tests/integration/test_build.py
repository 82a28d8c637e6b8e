"""What `make` makes, looked at from outside."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from lib.paths import GOLDEN, LIBRARY, ROOT, SET_UP_DEADLINE
from lib.puppet import Puppet
from lib.run import environment, run
from venvs import Interpreter

NEWEST_GLIBC = (2, 17)


def readelf(*options: str, library: Path = LIBRARY) -> str:
    done = subprocess.run(
        ["readelf", "--wide", *options, library],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def make(*arguments: str | Path) -> None:
    done = run(["make", "-C", ROOT, *arguments], environment(), deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def clang_library() -> Path:
    make("CC=clang", "B=build/clang")
    return ROOT / "build" / "clang" / LIBRARY.name


@pytest.fixture(params=["gcc", "clang"])
def library(request: pytest.FixtureRequest) -> Path:
    return LIBRARY if request.param == "gcc" else request.getfixturevalue("clang_library")


def test_needs_libc_only(library: Path) -> None:
    """libdl, where dlsym was before glibc 2.34, would cost every program its loading."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", library=library))
    assert needed == ["libc.so.6"]
    for line in readelf("--dyn-syms", library=library).splitlines():
        if re.search(r"\bdl(sym|error|open|addr)@", line):
            assert " WEAK " in line, line


def test_exports_are_the_golden_list(library: Path) -> None:
    exported = set()
    for line in readelf("--dyn-syms", library=library).splitlines():
        words = line.split()
        if len(words) >= 8 and words[4] in ("GLOBAL", "WEAK") and words[6] != "UND":
            exported.add(words[7])
    assert sorted(exported) == (GOLDEN / "exports.txt").read_text().split()


def test_no_symbol_is_newer_than_glibc_2_17(library: Path) -> None:
    symbols = readelf("--version-info", library=library)
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    assert versions
    assert max(versions) <= NEWEST_GLIBC
    assert "GLIBC_PRIVATE" not in symbols


def test_version_script_is_anonymous(library: Path) -> None:
    """A named node gives our functions a version that no program asks for."""
    assert "Version definition section" not in readelf("--version-info", library=library)
    symbols = readelf("--dyn-syms", library=library)
    assert re.search(r" epoll_wait$", symbols, re.MULTILINE)


def test_make_is_quiet_unless_asked(tmp_path: Path) -> None:
    """And warnings are errors only where that is asked, too: a user's compiler is not ours."""

    def build(*options: str) -> str:
        target = tmp_path / str(len(options))
        words = ["make", "-C", ROOT, f"B={target}", f"{target}/lib/ring/histogram.o", *options]
        done = run(words, environment(WERROR=""))
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    assert " -Wall " not in build()
    assert " -Wall " in (said := build("V=1"))
    assert "-Werror" not in said
    assert "-Werror" in build("V=1", "WERROR=1")


def test_dependencies_are_automatic() -> None:
    """A changed header makes what includes it anew, and nothing else is made anew."""
    changed = run(["make", "-C", ROOT, "-n", "V=1", "-W", "ring/layout.h"], environment())
    assert changed.returncode == 0
    for source in ("ring/writer.c", "ring/reader.c", "inject/observer.c"):
        assert source in changed.stdout.decode()
    assert run(["make", "-C", ROOT, "-q"], environment()).returncode == 0


@pytest.mark.parametrize(
    ("lacks", "lines"),
    [
        ("libcurl", ["export is left out: libcurl >= 7.66 is not here"]),
        ("ncursesw", ["top is left out: ncursesw is not here"]),
        (
            "lib|ncurses",
            [
                "export is left out: libmicrohttpd >= 0.9.71 is not here",
                "top is left out: ncursesw is not here",
            ],
        ),
        ("nothing", []),
    ],
)
def test_what_lacks_a_library_is_left_out_and_said(
    lacks: str, lines: list[str], tmp_path: Path
) -> None:
    """As pkg-config has it: not here, or older."""
    fake = tmp_path / "pkg-config"
    fake.write_text(f"#!/bin/sh\ncase $* in *{lacks.replace('|', '*|*')}*) exit 1;; esac\n")
    fake.chmod(0o755)
    words = ["make", "-C", ROOT, "-n", f"B={tmp_path}/b", f"PKG_CONFIG={fake}"]
    for goals in ([], ["install"]):
        done = run([*words, *goals], environment())
        assert (done.returncode, done.stderr) == (0, b"")
        said = done.stdout.decode()
        assert [line for line in said.splitlines() if "left out" in line] == lines
        for program in ("export", "top"):
            left_out = any(line.startswith(program) for line in lines)
            assert (f"-o {tmp_path}/b/gcpreload-{program} " in said) != left_out
        assert f"-o {tmp_path}/b/gcpreload " in said
    assert "left out" not in run([*words, "clean"], environment()).stdout.decode()


def test_without_pkg_config_the_core_is_built(tmp_path: Path) -> None:
    words = ["make", "-C", ROOT, "-n", f"B={tmp_path}/b", f"PKG_CONFIG={tmp_path}/none"]
    done = run(words, environment())
    assert (done.returncode, done.stderr) == (0, b"")
    reason = f"is left out: {tmp_path}/none is not here"
    assert [f"export {reason}", f"top {reason}"] == done.stdout.decode().splitlines()[1:3]


@pytest.mark.parametrize("prefix", ["/usr/local", "/opt/gc"])
def test_install_honours_prefix_and_destdir(prefix: str, tmp_path: Path) -> None:
    options = [f"DESTDIR={tmp_path}"]
    if prefix != "/usr/local":
        options.append(f"PREFIX={prefix}")
    make("install", *options)
    root = Path(f"{tmp_path}{prefix}")
    assert (root / "lib" / "libgcpreload.so").read_bytes() == LIBRARY.read_bytes()
    version = run([root / "bin" / "gcpreload", "--version"], environment())
    assert version.returncode == 0
    assert re.search(rb"\d+\.\d+\.\d+", version.stdout)
    make("uninstall", *options)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_install_under_a_running_process(
    clang_library: Path, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """It keeps the file that it has mapped; who begins meanwhile finds a whole one."""
    place = tmp_path / "usr" / "local" / "lib"
    installed = place / LIBRARY.name
    old = clang_library.read_bytes()
    assert old != LIBRARY.read_bytes()
    make("install", "CC=clang", "B=build/clang", f"DESTDIR={tmp_path}")
    with (
        installed.open("rb") as mapped,
        Puppet(system_python, ring_dir, LD_PRELOAD=str(installed)) as puppet,
    ):
        puppet.do("one = listen()", "arm(one)", "garbage(60000)")
        make("install", f"DESTDIR={tmp_path}")
        assert installed.read_bytes() == LIBRARY.read_bytes()
        assert mapped.read() == old
        puppet.do("garbage(60000)", "two = listen()", "arm(two)", "keep()", "gc.collect()")
        assert puppet.shown().state == "ready"
        assert puppet.end() == 0
        assert puppet.errors() == ""
    assert [path.name for path in place.iterdir()] == [LIBRARY.name]
    done = run(["make", "-C", ROOT, "-n", "install", f"DESTDIR={tmp_path}"], environment())
    touched = [line for line in done.stdout.decode().splitlines() if f" {installed}" in line]
    assert touched
    assert all(line.rpartition("&& ")[2].startswith("mv -f ") for line in touched)
