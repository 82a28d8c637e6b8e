"""What is in a package: its files, whatever the format."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

Files = dict[str, bytes]


def _tar(data: bytes) -> Files:
    """Also one of several parts, each with its own end."""
    files: Files = {}
    with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as tar:
        for member in tar:
            if member.isfile():
                files[member.name.lstrip("./")] = tar.extractfile(member).read()
    return files


def _deb(path: Path) -> Files:
    words = ["dpkg-deb", "--fsys-tarfile", path]
    return _tar(subprocess.run(words, capture_output=True, check=True).stdout)


def _rpm(path: Path) -> Files:
    archive = subprocess.run(["rpm2cpio", path], capture_output=True, check=True).stdout
    files: Files = {}
    at = 0
    while True:  # cpio's newer format: numbers of eight digits, all at multiples of four
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return files
        if mode & 0o170000 == 0o100000:
            files[name.lstrip("./")] = archive[start : start + size]
        at = (start + size + 3) & ~3


def _wheel(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def files(path: Path) -> Files:
    """By name, without a slash at its beginning."""
    readers = {".deb": _deb, ".rpm": _rpm, ".whl": _wheel}
    read = readers.get(path.suffix)
    return read(path) if read else _tar(path.read_bytes())


def programs(path: Path) -> Files:
    """And libraries."""
    found = files(path).items()
    return {name: data for name, data in sorted(found) if data[:4] == b"\x7fELF"}
