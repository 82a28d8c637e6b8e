"""What a format wants of the files of a package: their places, compression, and its own texts."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from unversioned import unversioned

HERE = Path(__file__).resolve().parent
TOP = HERE.parent

UNIT = "gcpreload-export.service"
ZSH = {"deb": "vendor-completions", "rpm": "site-functions", "apk": "site-functions"}
# Of `make install`, and of a package.
PLACES = (
    ("/usr/local/lib/libgcpreload.so", "/usr/lib/gcpreload/libgcpreload.so"),
    ("/usr/local/bin/gcpreload", "/usr/bin/gcpreload"),
)
# Where rpm and apk look for it; a deb has it in its copyright.
LICENSES = "usr/share/licenses"


@dataclass(frozen=True)
class About:
    name: str
    version: str
    release: str
    maintainer: str
    when: datetime


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def programs(tree: Path) -> list[Path]:
    """And libraries."""
    return sorted(p for p in tree.rglob("*") if p.is_file() and is_elf(p))


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def compress(path: Path) -> None:
    """Without a name and a time."""
    write(path.with_name(f"{path.name}.gz"), gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()


def copyright_text() -> str:
    """As Debian wants it to be read by programs."""
    _, holder, *rest = (TOP / "LICENSE").read_text().strip().split("\n\n")
    lines = "\n.\n".join(rest).splitlines()
    text = "\n".join(f" {line}" for line in lines)
    holder = re.sub(r"^Copyright \(c\) ", "", holder)
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: libgcpreload\n\n"
        f"Files: *\nCopyright: {holder}\nLicense: Expat\n\nLicense: Expat\n{text}\n"
    )


def debian_changelog(about: About) -> str:
    date = about.when.strftime("%a, %d %b %Y %H:%M:%S +0000")
    return (
        f"{about.name} ({about.version}-{about.release}) stable; urgency=medium\n\n"
        f"  * Version {about.version}; what has changed is in changelog.gz of gcpreload.\n\n"
        f" -- {about.maintainer}  {date}\n"
    )


def unit() -> str:
    """The example, for where the program is installed."""
    text = (TOP / "examples" / UNIT).read_text()
    return text.partition("\n")[2].replace(*PLACES[1])


def say_places(docs: Path) -> None:
    """In texts and examples: where this package has them."""
    for path in sorted(p for p in docs.rglob("*") if p.suffix in (".md", ".conf", ".service")):
        text = path.read_text()
        for own, installed in PLACES:
            text = text.replace(own, installed)
        path.write_text(text)


def arrange_deb(tree: Path, about: About) -> None:
    docs = tree / "usr/share/doc" / about.name
    write(docs / "copyright", copyright_text().encode())
    write(docs / "changelog.Debian", debian_changelog(about).encode())
    compress(docs / "changelog.Debian")
    if (docs / "CHANGELOG.md").exists():
        (docs / "CHANGELOG.md").rename(docs / "changelog")
        compress(docs / "changelog")
    overrides = HERE / "lintian" / about.name
    if overrides.exists():
        write(tree / "usr/share/lintian/overrides" / about.name, overrides.read_bytes())


def arrange(tree: Path, kind: str, about: About) -> None:
    strip = os.environ.get("STRIP", "strip")
    for program in programs(tree):
        # A crash report of a process names the library's functions.
        what = "--strip-debug" if program.suffix == ".so" else "--strip-unneeded"
        subprocess.run([strip, what, "-R", ".comment", program], check=True)
        if kind == "rpm":  # for other systems than the one that it is made on
            unversioned(program)
    say_places(tree / "usr/share/doc")
    for page in sorted((tree / "usr/share/man").rglob("*.[0-9]")):
        compress(page)
    if about.name == "gcpreload":
        place = tree / "usr/share/zsh" / ZSH[kind] / "_gcpreload"
        place.parent.mkdir(parents=True)
        shutil.copy(TOP / "completion/_gcpreload", place)
    if about.name == "gcpreload-export" and kind != "apk":  # whose systems have no systemd
        write(tree / "usr/lib/systemd/system" / UNIT, unit().encode())
    if kind == "deb":
        arrange_deb(tree, about)
    else:
        write(tree / LICENSES / about.name / "LICENSE", (TOP / "LICENSE").read_bytes())
