"""The library is replaced while a server runs, and answers: it keeps the old one."""

from __future__ import annotations

import re
from pathlib import Path

from lib.paths import LIBRARY, ROOT
from lib.rings import command
from lib.run import environment, run
from lib.server import gunicorn
from lib.servers import asking
from venvs import Interpreter


def mapped(pid: int) -> set[tuple[int, bool]]:
    """Inodes of the library in it, and whether it still has a name."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    found = re.findall(r" (\d+) +\S*/libgcpreload\.so( \(deleted\))?$", maps, re.M)
    return {(int(inode), not deleted) for inode, deleted in found}


def install(into: Path) -> Path:
    """And its inode, if it was there, is not written to."""
    done = run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={into}"], environment())
    assert done.returncode == 0, done.stderr.decode()
    return into / "usr" / "local" / "lib" / LIBRARY.name


def test_make_install_under_traffic(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    library = install(tmp_path)
    old = library.stat()
    settings = {"LD_PRELOAD": str(library), "GCPRELOAD_MODE": "freeze"}
    with gunicorn(system_python, ring_dir, **settings) as server:
        before = server.workers_in_state("ready", ring_dir)
        with asking(server) as errors:
            for _ in range(3):
                assert install(tmp_path).stat().st_ino != old.st_ino
                server.get("/")
        assert errors == []
        after = server.workers_in_state("ready", ring_dir)
        assert [worker.pid for worker in after] == [worker.pid for worker in before]
        for worker in after:
            assert mapped(worker.pid) == {(old.st_ino, False)}
            said = command("doctor", "--pid", str(worker.pid), "--dir", ring_dir)
            assert said.returncode == 0, said.stdout.decode()
        # Who begins now has the new one, and both are in one directory.
        with gunicorn(system_python, ring_dir, **settings) as other:
            for worker in other.workers_in_state("ready", ring_dir):
                assert mapped(worker.pid) == {(library.stat().st_ino, True)}
            assert "gcpreload[" not in server.output() + other.output()
