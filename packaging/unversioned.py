"""Takes a distribution's own symbol versions out of what a program needs.

Debian's libcurl gives every name the version CURL_OPENSSL_4, which no other system's has: there
ld.so would complain at each start, and rpm would not install the program. Without a version a name
is found in both.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

OWN = re.compile(rb"CURL_|NCURSES")

# 64 bits, little-endian.
SECTION = struct.Struct("<IIQQQQIIQQ")
NEED = struct.Struct("<HHIII")  # of a library: version, count, its name, first one, next library
ONE = struct.Struct("<IHHII")  # of its versions: hash, flags, index, name, next one
VERSIONS, INDICES, DYNAMIC = 0x6FFFFFFE, 0x6FFFFFFF, 6
COUNT_TAG = 0x6FFFFFFF  # DT_VERNEEDNUM
GLOBAL = 1


@dataclass
class Section:
    header: int
    fields: tuple[int, ...]

    @property
    def offset(self) -> int:
        return self.fields[4]

    @property
    def size(self) -> int:
        return self.fields[5]


def _sections(data: bytearray) -> list[Section]:
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, number = struct.unpack_from("<HH", data, 0x3A)
    headers = [table + size * index for index in range(number)]
    return [Section(header, SECTION.unpack_from(data, header)) for header in headers]


def _chain(data: bytearray, layout: struct.Struct, at: int) -> list[tuple[int, tuple[int, ...]]]:
    found = []
    while True:
        fields = layout.unpack_from(data, at)
        found.append((at, fields))
        if not fields[4]:
            return found
        at += fields[4]


def _text(data: bytearray, at: int) -> bytes:
    return bytes(data[at : data.index(0, at)])


def unversioned(program: Path) -> None:
    """Changes the file."""
    data = bytearray(program.read_bytes())
    sections = _sections(data)
    of_kind = {section.fields[1]: section for section in sections}
    if VERSIONS not in of_kind:
        return
    needs = of_kind[VERSIONS]
    names = sections[needs.fields[6]].offset
    libraries = _chain(data, NEED, needs.offset)
    kept, gone = [], set()
    for at, fields in libraries:
        first = at + fields[3]
        versions = [one for _, one in _chain(data, ONE, first)]
        if all(OWN.match(_text(data, names + one[3])) for one in versions):
            gone |= {one[2] for one in versions}
        else:
            kept.append((first, fields))
    if not gone:
        return
    # Those that stay move up, in the places that were there.
    places = [at for at, _ in libraries]
    for index, (first, fields) in enumerate(kept):
        at = places[index]
        following = places[index + 1] - at if index + 1 < len(kept) else 0
        NEED.pack_into(data, at, *fields[:3], first - at, following)
    struct.pack_into("<I", data, needs.header + 44, len(kept))
    indices = of_kind[INDICES]
    for at in range(indices.offset, indices.offset + indices.size, 2):
        if struct.unpack_from("<H", data, at)[0] in gone:
            struct.pack_into("<H", data, at, GLOBAL)
    dynamic = of_kind[DYNAMIC]
    for at in range(dynamic.offset, dynamic.offset + dynamic.size, 16):
        if struct.unpack_from("<Q", data, at)[0] == COUNT_TAG:
            struct.pack_into("<Q", data, at + 8, len(kept))
    program.write_bytes(data)
