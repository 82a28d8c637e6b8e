#!/usr/bin/env python3
"""Makes the packages for PyPI; and is what pip calls to build the source release (PEP 517).

    packaging/python/backend.py sdist INTO
    packaging/python/backend.py wheel INTO TAG COMMAND [LIBRARY]

INTO is a directory, TAG what is behind the version in a wheel's name; COMMAND and LIBRARY are
built already. `make sdist` and `make wheel` call it so. pip calls the functions build_sdist() and
build_wheel(): the latter needs a C compiler and nothing else.

The same files give the same bytes: times are SOURCE_DATE_EPOCH, else the last commit's, else 1980.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import gzip
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path("build", "pip")  # below ROOT, of what pip builds
LIBRARY, COMMAND = "libgcpreload.so", "gcpreload"

# What the source release has: all that `make` and `make install` read. No tests.
FOLDERS = "base rules ring inject engine preload cli docs examples completion packaging/python"
FILES = "Makefile pyproject.toml README.md DESIGN.md CHANGELOG.md LICENSE gcpreload.conf.example"
FILES += " scripts/man.py"

# In the source release: what make would run, for machines without make.
STEPS = HERE / "steps.txt"

OLDEST = 315532800  # 1980, the first year of a zip file

METADATA = """Metadata-Version: 2.1
Name: gcpreload
Version: {version}
Summary: Python web services without the pauses of Python's garbage collector
License: MIT
Platform: linux
Classifier: Environment :: No Input/Output (Daemon)
Classifier: License :: OSI Approved :: MIT License
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: C
Classifier: Programming Language :: Python :: 3
Classifier: Programming Language :: Python :: Implementation :: CPython
Requires-Python: >=3.7
Description-Content-Type: text/markdown

{readme}"""

WHEEL = """Wheel-Version: 1.0
Generator: gcpreload ({version})
Root-Is-Purelib: false
Tag: {tag}
"""


def version() -> str:
    """The Makefile has it."""
    return re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)[1]


def metadata() -> bytes:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return METADATA.format(version=version(), readme=readme).encode()


def epoch() -> int:
    """The time of every file."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not said and (ROOT / ".git").exists():
        words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        said = subprocess.run(words, stdout=subprocess.PIPE, check=False).stdout.decode()
    return max(int(said or 0), OLDEST)


# ---- a wheel ----


class Wheel:
    """A zip file that has the sums of its files in one of them."""

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.record: list[str] = []
        self.time = time.gmtime(epoch())[:6]

    def add(self, name: str, data: bytes, executable: bool = False) -> None:
        info = zipfile.ZipInfo(name, self.time)
        info.create_system = 3  # Unix: the modes are in the next field
        info.external_attr = (0o100755 if executable else 0o100644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(data)}")

    def close(self, record: str) -> None:
        lines = [*self.record, f"{record},,", ""]
        self.add(record, "\n".join(lines).encode())
        self.zip.close()


def write_wheel(into: Path, tag: str, command: Path, library: Path | None) -> Path:
    name = f"gcpreload-{version()}"
    path = into / f"{name}-{tag}.whl"
    into.mkdir(parents=True, exist_ok=True)
    wheel = Wheel(path)
    for module in sorted((HERE / "gcpreload").glob("*.py")):
        wheel.add(f"gcpreload/{module.name}", module.read_bytes())
    if library:
        wheel.add(f"gcpreload/lib/{LIBRARY}", library.read_bytes(), executable=True)
    # Twice: `pip install --target` leaves the second out where a directory bin/ is there already,
    # and the package is whole where it alone is copied.
    wheel.add(f"gcpreload/bin/{COMMAND}", command.read_bytes(), executable=True)
    wheel.add(f"{name}.data/scripts/{COMMAND}", command.read_bytes(), executable=True)
    info = f"{name}.dist-info"
    wheel.add(f"{info}/METADATA", metadata())
    wheel.add(f"{info}/LICENSE", (ROOT / "LICENSE").read_bytes())
    wheel.add(f"{info}/WHEEL", WHEEL.format(version=version(), tag=tag).encode())
    wheel.close(f"{info}/RECORD")
    return path


# ---- the source release ----


def sources() -> list[Path]:
    """What is of it, below ROOT."""
    found = [ROOT / name for name in FILES.split()]
    for folder in FOLDERS.split():
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    skipped = {"__pycache__", "build"}
    return sorted(
        path.relative_to(ROOT)
        for path in found
        if not skipped & set(path.parts[len(ROOT.parts) :]) and path != STEPS
    )


def steps() -> str:
    """What make would run to build the library and the command."""
    if STEPS.exists():
        return STEPS.read_text()
    words = ["make", "-nB", "V=1", "CC=cc", "CFLAGS=-O2", f"B={BUILD}"]
    words += [f"{BUILD}/{LIBRARY}", f"{BUILD}/{COMMAND}"]
    clean = {"PATH": os.environ.get("PATH", os.defpath)}  # without the flags of a make above
    return subprocess.run(
        words, cwd=ROOT, env=clean, stdout=subprocess.PIPE, check=True
    ).stdout.decode()


def write_archive(file: BinaryIO, name: str, files: dict[str, bytes], when: int) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for inside, data in sorted(files.items()):
            info = tarfile.TarInfo(f"{name}/{inside}")
            source = ROOT / inside
            executable = source.exists() and os.access(source, os.X_OK)
            info.mode = 0o755 if executable else 0o644
            info.size = len(data)
            info.mtime = when
            archive.addfile(info, io.BytesIO(data))


def write_sdist(into: Path) -> Path:
    name = f"gcpreload-{version()}"
    path = into / f"{name}.tar.gz"
    into.mkdir(parents=True, exist_ok=True)
    when = epoch()
    files = {str(source): (ROOT / source).read_bytes() for source in sources()}
    files["PKG-INFO"] = metadata()
    files[str(STEPS.relative_to(ROOT))] = steps().encode()
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, when) as packed:
        write_archive(packed, name, files, when)
    return path


# ---- what pip calls ----


def _compiler() -> list[str]:
    named = os.environ.get("CC")
    if named:
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise SystemExit("gcpreload: no C compiler was found (cc, gcc or clang; or set CC)")


def _compile() -> None:
    """Library and command, into BUILD."""
    compiler, objects, others = _compiler(), [], []
    for line in steps().splitlines():
        words = shlex.split(line)
        if words[:2] == ["mkdir", "-p"]:
            (ROOT / words[2]).mkdir(parents=True, exist_ok=True)
        elif words[:1] == ["cc"]:
            (objects if "-c" in words else others).append([*compiler, *words[1:]])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(lambda words: subprocess.run(words, cwd=ROOT, check=False), objects):
            if done.returncode:
                raise SystemExit("gcpreload: failed: " + " ".join(done.args))
    for words in others:
        subprocess.run(words, cwd=ROOT, check=True)


def build_wheel(
    wheel_directory: str,
    config_settings: object = None,
    metadata_directory: str | None = None,
) -> str:
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        raise SystemExit("gcpreload: the library is for glibc; use an image that has it")
    _compile()
    tag = f"py3-none-{platform}"
    built = ROOT / BUILD
    return write_wheel(Path(wheel_directory), tag, built / COMMAND, built / LIBRARY).name


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    return write_sdist(Path(sdist_directory)).name


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: object = None
) -> str:
    """Else pip would build twice."""
    info = Path(metadata_directory) / f"gcpreload-{version()}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(metadata())
    return info.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["sdist", "wheel"])
    parser.add_argument("into", type=Path)
    parser.add_argument("tag", nargs="?")
    parser.add_argument("command", type=Path, nargs="?")
    parser.add_argument("library", type=Path, nargs="?")
    options = parser.parse_args()
    if options.what == "sdist":
        print(write_sdist(options.into))
    elif options.tag and options.command:
        print(write_wheel(options.into, options.tag, options.command, options.library))
    else:
        parser.error("a wheel needs TAG and COMMAND")


if __name__ == "__main__":
    sys.exit(main())
