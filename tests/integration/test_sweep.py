"""What dead processes leave is bounded: each new ring sweeps the directory."""

from __future__ import annotations

import os
from pathlib import Path

from lib.paths import APPS
from lib.rings import ps, ring_files
from lib.run import environment, run
from lib.server import gunicorn
from venvs import Interpreter

DEAD = 100
MAY_STAY = 32  # ring/file.c


def test_the_dead_are_bounded(server_python: Interpreter, ring_dir: Path) -> None:
    app = [server_python.path, APPS / "ready_once.py"]
    assert run(app, environment(ring_dir)).returncode == 0
    (place,) = ring_dir.iterdir()
    (ring,) = place.iterdir()
    content = ring.read_bytes()
    ring.unlink()
    for number in range(DEAD):
        dead = place / f"{100000 + number}.{number + 1}.{number:08x}"
        dead.write_bytes(content)
        os.utime(dead, (1_700_000_000 + number, 1_700_000_000 + number))
    strange = place / "notes.txt"
    strange.write_text("mine")
    with gunicorn(server_python, ring_dir, workers=2) as server:
        server.workers_in_state("ready", ring_dir, 2)
        living = [process.file for process in ps(ring_dir)]
        left = [path for path in ring_files(ring_dir) if path != strange]
        assert len(left) <= MAY_STAY + len(living)
        assert all(Path(file).exists() for file in living)
        assert strange.read_text() == "mine"
