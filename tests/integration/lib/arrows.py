"""Which file and which room of the tree needs which, computed from objects and #include lines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run

# (user, definer) -> by which symbols, or which #include lines.
Edges = dict[tuple[str, str], set[str]]
# The commands are in a table of this file.
TABLE = "cli/main.c"
DEFINED = set("TDBRCVWGSAiu")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
INLINE = re.compile(r"^static inline [^(;={]*?\b(\w+)\(", re.MULTILINE)
ARROW = re.compile(r"^(\S+) -> (\S.*)$")


@dataclass
class Objects:
    """What nm says of the objects below one directory; files as they are named in the tree."""

    functions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    defines: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    uses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def edges(self) -> Edges:
        edges: Edges = defaultdict(set)
        for symbol, users in self.uses.items():
            for user in users:
                for definer in self._definers(symbol, user):
                    if definer != user:
                        edges[user, definer].add(symbol)
        return edges

    def _definers(self, symbol: str, user: str) -> set[str]:
        """Programs may each have their own: the nearest."""
        found = self.defines.get(symbol, set())
        return {file for file in found if room(file) == room(user)} or found


def room(file: str) -> str:
    return file.rpartition("/")[0]


def read_objects(directory: Path) -> Objects:
    objects = Objects()
    for path in sorted(directory.rglob("*.o")):
        file = str(path.relative_to(directory).with_suffix(".c"))
        done = run(["nm", "-P", path], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            name, kind = line.split()[:2]
            if kind in "Uwv":
                objects.uses[name].add(file)
                continue
            if kind in DEFINED:
                objects.defines[name].add(file)
            if kind in "tTWi":
                # Of what a compiler makes of one ("name.part.0"), too.
                objects.functions[name.partition(".")[0]].add(file)
    return objects


def sources(root: Path, rooms: Iterable[str]) -> Iterator[Path]:
    for name in rooms:
        yield from sorted(p for p in (root / name).glob("*.*") if p.suffix in (".c", ".h", ".def"))


def included(root: Path, rooms: Iterable[str]) -> Edges:
    """What is generated is of no room."""
    edges: Edges = defaultdict(set)
    for path in sources(root, rooms):
        for name in INCLUDE.findall(path.read_text()):
            if (root / name).is_file():
                edges[str(path.relative_to(root)), name].add(f'#include "{name}"')
    return edges


def inline_functions(root: Path, rooms: Iterable[str]) -> set[str]:
    """Those of headers, of which a compiler may put one into each object."""
    headers = (path for path in sources(root, rooms) if path.suffix == ".h")
    return {name for path in headers for name in INLINE.findall(path.read_text())}


def rooms_of(root: Path, allowed: Mapping[str, set[str]]) -> list[str]:
    named = {name for above, below in allowed.items() for name in (above, *below)}
    return sorted(
        str(path.relative_to(root))
        for name in named
        for path in root.glob(name.replace("NAME", "*"))
        if path.is_dir()
    )


def read_allowed(text: str) -> dict[str, set[str]]:
    """The block "arrows" of DESIGN.md."""
    blocks = re.findall(r"^```arrows\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, "DESIGN.md has one block ```arrows"
    allowed: dict[str, set[str]] = {}
    for line in blocks[0].splitlines():
        arrow = ARROW.match(line)
        assert arrow, f"neither a room's arrows nor the end: {line}"
        allowed[arrow[1]] = set(arrow[2].split())
    return allowed


def _kind(name: str) -> str:
    return "cli/NAME" if name.startswith("cli/") else name


def may(allowed: Mapping[str, set[str]], user: str, definer: str) -> bool:
    """Whether an arrow from file to file is drawn, by their rooms."""
    above, below = room(user), room(definer)
    if above == below:
        return True
    drawn = allowed.get(user, set()) | allowed.get(_kind(above), set())
    return _kind(below) in drawn


def not_drawn(edges: Edges, allowed: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{user} -> {definer}: {', '.join(sorted(why))}"
        for (user, definer), why in sorted(edges.items())
        if not may(allowed, user, definer)
    ]


def components(edges: Edges) -> list[list[str]]:
    """The strongly connected ones of more than one file (Tarjan's, without recursion)."""
    after: dict[str, list[str]] = defaultdict(list)
    for user, definer in sorted(edges):
        after[user].append(definer)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []
    for root in list(after):
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(after.get(target, []))))
                    break
                if target in stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    if len(stack) - at > 1:
                        found.append(sorted(stack[at:]))
                    del stack[at:]
    return found


def circles(edges: Edges) -> list[str]:
    return [
        f"{user} -> {definer}: {', '.join(sorted(edges[user, definer]))}"
        for files in components(edges)
        for user in files
        for definer in files
        if (user, definer) in edges
    ]


def ill_named(objects: Objects, inline: set[str], excused: set[str]) -> list[str]:
    """Functions that are named by one bare word, or that stand in two files; but for those of
    system headers, whose names begin with an underscore."""
    bad = []
    for name, files in sorted(objects.functions.items()):
        if name in excused or name.startswith("_"):
            continue
        if "_" not in name:
            bad.append(f"{name}: one word ({', '.join(sorted(files))})")
        if len(files) > 1 and name not in inline:
            bad.append(f"{name}: in {', '.join(sorted(files))}")
    return bad
