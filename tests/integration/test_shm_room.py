"""What rings leave of the file system that they share with the application."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lib.mounts import mounted
from lib.paths import APPS, COMMAND
from lib.puppet import Puppet
from lib.rings import command
from lib.run import environment, run, wait_for
from venvs import Interpreter

SIZE = 4 << 20  # for 18 rings
MANY = 24


def on_a_small_one(
    python: Interpreter, ring_dir: Path, number: int, size: int = SIZE
) -> dict[str, Any]:
    """What tests/apps/many_rings.py tells of so many children."""
    app = [python.path, APPS / "many_rings.py", str(number), ring_dir]
    ps = [COMMAND, "ps", "--all", "--json", "--dir", ring_dir]
    done = run([*mounted(ring_dir, size, environment(ring_dir)), *app, *ps], environment())
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_quarter_stays_free(system_python: Interpreter, ring_dir: Path) -> None:
    """With more workers than there is room for; and the application's own write succeeds."""
    told = on_a_small_one(system_python, ring_dir, MANY)
    assert told["wrote"] is True
    assert told["free"] >= 0.25
    states = [process["state"] for process in told["processes"]]
    assert len(states) == MANY
    assert {*states} == {"ready", "no-ring"}
    assert states.count("ready") > 12
    for process in told["processes"]:
        if process["state"] == "no-ring":
            assert "no room for measurements" in process["reason"]
            assert f"in {ring_dir}" in process["reason"]
    assert "fewer events" in told["text"]


@pytest.mark.parametrize("size", [64 << 10, 256 << 10])
def test_none_where_there_is_less(size: int, system_python: Interpreter, ring_dir: Path) -> None:
    (process,) = on_a_small_one(system_python, ring_dir, 1, size)["processes"]
    expected = "no-ring" if size < 127 << 10 else "ready"
    assert process["state"] == expected


def test_it_comes_when_there_is_space(system_python: Interpreter, ring_dir: Path) -> None:
    """Ready while the file system was full: `ps` says so, and `set` reaches it later."""
    app = [system_python.path, APPS / "puppet.py"]
    program = mounted(ring_dir, SIZE, environment(ring_dir))
    with Puppet(system_python, None, program=[*program, *app]) as puppet:
        full = f"open({str(ring_dir / 'full')!r}, 'wb').write(bytes({SIZE * 9 // 10}))"
        puppet.do(full, "one = listen()", "arm(one)", "garbage(3000)", "arm(one)")
        assert puppet.frozen()
        inside = f"/proc/{puppet.pid}/root{ring_dir}"

        def shown() -> tuple[str, str]:
            puppet.do("garbage(3000)", "arm(one)")
            listed = json.loads(command("ps", "--all", "--json", "--dir", inside).stdout)
            (process,) = (p for p in listed if p["pid"] == puppet.pid)
            return process["state"], process["reason"]

        state, reason = shown()
        assert (state, "no room" in reason) == ("no-ring", True)
        told = command("set", str(puppet.pid), "mode=off", "--dir", inside, "--timeout", "0")
        assert told.returncode == 1
        assert b"no room for measurements" in told.stderr
        told = command("doctor", "--pid", str(puppet.pid))
        assert b"no room for measurements" in told.stdout + told.stderr
        puppet.do("import os", f"os.unlink({str(ring_dir / 'full')!r})")
        wait_for("a ring", lambda: shown()[0] == "ready")
        assert puppet.errors().count("no ring in") == 1
