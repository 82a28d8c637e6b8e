"""What programs need, read out of themselves, in the words of each format."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

# As nfpm names them.
MACHINES = {"Advanced Micro Devices X86-64": "amd64", "AArch64": "arm64"}


def said(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stderr}")
    return done.stdout


def architecture(program: Path) -> str:
    machine = re.search(r"Machine: +(.*)", said("readelf", "-hW", program))[1]
    return MACHINES[machine]


def libraries(program: Path) -> list[str]:
    """The names of what it is linked with, as it has them."""
    return re.findall(r"\(NEEDED\).*\[(.*)\]", said("readelf", "-dW", program))


def versions(program: Path) -> list[tuple[str, str]]:
    """Libraries and versions of theirs."""
    found = []
    library = ""
    for line in said("readelf", "-VW", program).splitlines():
        if match := re.search(r"Version: 1  File: (\S+)", line):
            library = match[1]
        elif (match := re.search(r"Name: (\S+) +Flags", line)) and library:
            found.append((library, match[1]))
    return found


def of_deb(programs: list[Path], work: Path) -> list[str]:
    """By Debian's own program, which knows since when a library has what is used of it."""
    if not shutil.which("dpkg-shlibdeps"):
        raise SystemExit("dpkg-shlibdeps is missing; scripts/setup packages installs it")
    (work / "debian").mkdir(exist_ok=True)
    (work / "debian" / "control").write_text(
        "Source: gcpreload\n\nPackage: gcpreload\nArchitecture: any\n"
    )
    words = [word for program in programs for word in ("-e", str(program.resolve()))]
    line = said("dpkg-shlibdeps", "-O", "--warnings=0", *words, cwd=work)
    return sorted(line.strip().partition("shlibs:Depends=")[2].split(", "))


def of_rpm(programs: list[Path]) -> list[str]:
    found = set()
    for program in programs:
        found |= {f"{library}()(64bit)" for library in libraries(program)}
        found |= {f"{library}({version})(64bit)" for library, version in versions(program)}
    return sorted(found)


def of_apk(programs: list[Path]) -> list[str]:
    return sorted({f"so:{library}" for program in programs for library in libraries(program)})


def of(kind: str, programs: list[Path], work: Path) -> list[str]:
    if kind == "deb":
        return of_deb(programs, work)
    return of_rpm(programs) if kind == "rpm" else of_apk(programs)
