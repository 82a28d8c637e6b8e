"""Programs in C with Python inside."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from venvs import Interpreter

from lib.paths import APPS
from lib.run import environment, run

WHERE = "import json, sys, sysconfig as s; get = s.get_config_var\n"
WHERE += "print(json.dumps([sys.prefix, get('LIBDIR') + '/' + get('INSTSONAME')]))"


class Hosts:
    """Programs with Python inside, each made once for each interpreter."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.made: dict[str, tuple[Path, str]] = {}

    def of(self, python: Interpreter, source: str) -> tuple[Path, dict[str, str]]:
        """tests/apps/SOURCE.c, and where that Python's own files are."""
        if not python.shared:
            pytest.skip("linked statically: it has no libpython.so to be linked with")
        name = f"{source}-{python}"
        if name not in self.made:
            said = run([python.path, "-c", WHERE], environment()).stdout
            prefix, library = json.loads(said)
            options = ["-Wall", "-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
            options += ["-o", str(self.directory / name), str(APPS / f"{source}.c"), library]
            subprocess.run(["cc", *options, f"-Wl,-rpath,{Path(library).parent}"], check=True)
            self.made[name] = self.directory / name, prefix
        program, prefix = self.made[name]
        return program, {"PYTHONHOME": prefix}
