"""gcpreload path: which library the command finds."""

from __future__ import annotations

from pathlib import Path

from lib.paths import COMMAND, LIBRARY
from lib.run import environment, run


def test_beside_the_command() -> None:
    found = run([COMMAND, "path"], environment())
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.decode() == f"{LIBRARY}\n"


def test_another_versions_library_is_not_taken(tmp_path: Path) -> None:
    """Another Python of the same prefix may have it."""
    command = tmp_path / "bin" / COMMAND.name
    command.parent.mkdir()
    command.write_bytes(COMMAND.read_bytes())
    command.chmod(0o755)
    version = run([COMMAND, "--version"], environment()).stdout.decode().split()[1]
    for python, of, folder in [
        ("lib/python3.9", "0.0.1", "site-packages"),
        ("lib/python3.12", "9.9.9", "dist-packages"),
        ("lib64/python3.13", version, "site-packages"),
        ("lib/other3.13", version, "site-packages"),
    ]:
        packages = tmp_path / python / folder
        (packages / f"gcpreload-{of}.dist-info").mkdir(parents=True)
        (packages / "gcpreload" / "lib").mkdir(parents=True)
        (packages / "gcpreload" / "lib" / LIBRARY.name).touch()
    found = run([command, "path"], environment())
    assert (found.returncode, found.stderr) == (0, b"")
    assert (
        found.stdout.decode()
        == f"{tmp_path}/lib64/python3.13/site-packages/gcpreload/lib/{LIBRARY.name}\n"
    )


def test_path_says_why_there_is_none(tmp_path: Path) -> None:
    command = tmp_path / "my programs" / COMMAND.name
    command.parent.mkdir()
    command.write_bytes(COMMAND.read_bytes())
    command.chmod(0o755)
    (command.parent / LIBRARY.name).touch()
    found = run([command, "path"], environment())
    assert (found.returncode, found.stdout) == (1, b"")
    assert b"LD_PRELOAD does not allow spaces" in found.stderr
