#!/usr/bin/env python3
"""Makes the deb, rpm or apk packages of a tree that `make install` made, by nfpm.

    packaging/packages.py deb --root build/package/root --version 0.1.0 --into build/dist ...

What is in which package stands here once, for all formats. What a package depends on is read out
of its programs. The same tree makes the same bytes: no clock, no host, no order of a directory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path

import contents
import needs

HERE = Path(__file__).resolve().parent
RELEASE = "1"


@dataclass(frozen=True)
class Package:
    """Files are patterns below the root; what no package names is in the first one."""

    name: str
    summary: str
    text: str
    files: tuple[str, ...]
    scripts: str = ""  # the beginning of the names of packaging/scripts/*
    recommends: tuple[str, ...] = ()
    suggests: tuple[str, ...] = ()


# What needs more than libc is a package of its own: who tunes a server wants no libcurl there.
PACKAGES = (
    Package(
        "gcpreload",
        "tune and measure the garbage collector of Python servers",
        "libgcpreload.so is put into an unmodified Python process by LD_PRELOAD. It\n"
        "moves garbage collections out of requests, and counts and times every one.\n"
        "The command gcpreload starts programs with it and shows what it measured.\n"
        "Nothing is changed for programs that are not started with it.",
        ("*",),
        suggests=("gcpreload-export", "gcpreload-top"),
    ),
    Package(
        "gcpreload-export",
        "garbage collection of Python servers, for Prometheus and OTLP",
        "Serves what libgcpreload measured in the processes of a machine as metrics for\n"
        "Prometheus, with a page to look at, or pushes it by OTLP. It can run as a\n"
        "service of systemd, which is not enabled by installing it.",
        (
            "usr/bin/gcpreload-export",
            "usr/share/man/man1/gcpreload-export.1*",
            "usr/lib/systemd/system/gcpreload-export.service",
        ),
        scripts="export",
        recommends=("gcpreload",),
    ),
    Package(
        "gcpreload-top",
        "watch garbage collections of Python servers in a terminal",
        "A live view of the processes that run under libgcpreload, and of what their\n"
        "garbage collections cost.",
        ("usr/bin/gcpreload-top", "usr/share/man/man1/gcpreload-top.1*"),
        recommends=("gcpreload",),
    ),
)
# For systems of musl.
COMMAND_ALONE = Package(
    "gcpreload",
    "read what libgcpreload measures in Python processes (without the library, which needs glibc)",
    "",
    ("*",),
)


def owner(path: str) -> Package:
    """Of a file below the root."""
    named = [p for p in PACKAGES[1:] if any(fnmatch(path, pattern) for pattern in p.files)]
    return (named or PACKAGES)[0]


def take(package: Package, root: Path, into: Path) -> None:
    """Copies its part of the tree."""
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = str(path.relative_to(root))
        if owner(name).name == package.name:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, into / name)


def entries(tree: Path) -> list[dict[str, object]]:
    """For nfpm. Directories of our own are named, so that they go with the package."""
    found: list[dict[str, object]] = []
    for path in sorted(tree.rglob("*")):
        place = f"/{path.relative_to(tree)}"
        executable = path.is_dir() or path.parent.name == "bin"
        mode = 0o755 if executable else 0o644
        about = {"mode": mode, "owner": "root", "group": "root"}
        if path.is_file():
            found.append({"src": str(path), "dst": place, "file_info": about})
        elif "/gcpreload" in place:
            found.append({"dst": place, "type": "dir", "file_info": about})
    return found


def description(package: Package, kind: str) -> str:
    """A deb's first line is the summary, an apk has nothing else, an rpm has it apart."""
    words = {"deb": f"{package.summary}\n{package.text}", "rpm": package.text}
    return words.get(kind, package.summary)


def config(
    package: Package, kind: str, tree: Path, options: argparse.Namespace
) -> dict[str, object]:
    programs = contents.programs(tree)
    about: dict[str, object] = {
        "name": package.name,
        "arch": needs.architecture(programs[0]),
        "platform": "linux",
        "version": options.version,
        "release": RELEASE,
        "section": "utils",
        "priority": "optional",
        "maintainer": options.maintainer,
        "description": description(package, kind),
        "license": "MIT",
        "contents": entries(tree),
        "depends": needs.of(kind, programs, options.work),
        "deb": {"compression": "xz"},
        "rpm": {"summary": package.summary, "compression": "xz", "buildhost": "localhost"},
    }
    if kind == "deb":
        about["recommends"] = list(package.recommends)
        about["suggests"] = list(package.suggests)
    if package.scripts:
        about["scripts"] = {
            name.partition(".")[0]: str(HERE / "scripts" / f"{package.scripts}-{kind}" / name)
            for name in ("postinstall.sh", "preremove.sh", "postremove.sh")
            if (HERE / "scripts" / f"{package.scripts}-{kind}" / name).exists()
        }
    return about


def make(package: Package, kind: str, options: argparse.Namespace, when: datetime) -> None:
    tree = options.work / package.name
    take(package, options.root, tree)
    about = contents.About(package.name, options.version, RELEASE, options.maintainer, when)
    contents.arrange(tree, kind, about)
    file = options.work / f"{package.name}.json"  # which YAML is, too
    file.write_text(json.dumps(config(package, kind, tree, options), indent=1) + "\n")
    words = [options.nfpm, "package", "--config", file, "--packager", kind]
    done = subprocess.run(
        [*words, "--target", f"{options.into}/"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{options.nfpm}: {done.stderr or done.stdout}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=("deb", "rpm", "apk"))
    parser.add_argument("--root", type=Path, required=True, help="the tree")
    parser.add_argument("--work", type=Path, required=True, help="what is made on the way")
    parser.add_argument("--into", type=Path, required=True, help="where the packages go")
    parser.add_argument("--version", required=True)
    parser.add_argument("--maintainer", required=True)
    parser.add_argument("--nfpm", default="nfpm")
    options = parser.parse_args()
    if not shutil.which(options.nfpm):
        raise SystemExit("nfpm is missing; scripts/setup packages installs it")
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    shutil.rmtree(options.work, ignore_errors=True)
    options.into.mkdir(parents=True, exist_ok=True)
    wanted = PACKAGES if options.kind != "apk" else (COMMAND_ALONE,)
    missing = [p.name for p in wanted if not (options.root / "usr/bin" / p.name).exists()]
    if missing:
        raise SystemExit(f"{', '.join(missing)} was not built: scripts/setup packages")
    for package in wanted:
        make(package, options.kind, options, when)


if __name__ == "__main__":
    sys.exit(main())
