"""gcpreload set: what it says and how it ends; and which files of a service or of all count."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.paths import APPS, COMMAND
from lib.puppet import Puppet
from lib.rings import command, ring_files
from lib.run import environment, memory_dir, run, wait_for
from venvs import Interpreter

ARMED = ("one = listen()", "arm(one)")
PUPPET = str(APPS / "puppet.py")


def own_directory(ring_dir: Path) -> Path:
    return ring_dir / f"gcpreload-{os.geteuid()}"


def listed(ring_dir: Path) -> list[tuple[str, str | None, int | None, str]]:
    done = command("set", "--list", "--json", "--dir", ring_dir)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = json.loads(done.stdout)
    assert all(abs(row["since"] - time.time()) < 600 for row in rows)
    return [(row["for"], row["service"], row["pid"], row["mode"]) for row in rows]


def test_list(system_python: Interpreter, ring_dir: Path) -> None:
    where = ["--dir", str(ring_dir)]
    assert listed(ring_dir) == []
    assert b"nothing is set" in command("set", "--list", *where).stdout
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        command("set", *where, "--no-wait", "--all", "mode=off")
        command("set", *where, "--no-wait", "--service", "shop", "mode=observe")
        command("set", *where, "--no-wait", str(puppet.pid), "mode=idle")
        everything = [
            ("all", None, None, "off"),
            ("service", "shop", None, "observe"),
            ("process", "shop", puppet.pid, "idle"),
        ]
        assert listed(ring_dir) == everything
        text = command("set", "--list", *where).stdout.decode()
        assert [line.split()[0] for line in text.splitlines()[1:]] == ["all", "service", "process"]
        wait_for(
            "mode idle", lambda: puppet.wait_for("ready", "garbage(9)", "arm(one)").mode == "idle"
        )
        # A newer one for its service counts before its own, also one that takes back.
        command("set", *where, "--no-wait", "--service", "shop", "mode=default")
        assert listed(ring_dir) == everything[:1]
        puppet.wait_for("off", "arm(one)")
        command("set", *where, "--no-wait", "--all", "mode=default")
        assert listed(ring_dir) == []
        assert puppet.wait_for("ready", "garbage(60000)", "arm(one)").mode == "freeze"


@pytest.mark.parametrize("words", [["--list", "mode=off"], ["--list", "--all"], ["--wait", "x"]])
def test_usage(words: list[str], ring_dir: Path) -> None:
    done = command("set", "--dir", ring_dir, *words)
    assert done.returncode == 2
    assert b"set --help" in done.stderr


def test_waiting_and_not(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        words = ["set", "--dir", str(ring_dir), "--all", "mode=off"]
        assert command(*words, "--no-wait").returncode == 0
        done = command(*words, "--wait", "0")
        assert done.returncode == 1
        assert f"{puppet.pid}: no answer yet" in done.stderr.decode()
        assert b"mode=off: 0 of 1 processes that serve have it" in done.stdout
        puppet.wait_for("off", "arm(one)")
        done = command(*words, "--wait", "0")
        assert done.returncode == 1, "it is a new command"


def test_interrupted(system_python: Interpreter, ring_dir: Path) -> None:
    """What is pending is said, and stays."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        words = [COMMAND, "set", "--dir", ring_dir, str(puppet.pid), "mode=off"]
        told = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        caught = 1 << (signal.SIGINT - 1)

        def catches() -> bool:
            status = Path(f"/proc/{told.pid}/status").read_text()
            return bool(int(status.split("SigCgt:")[1].split()[0], 16) & caught)

        wait_for("it to wait", catches)
        told.send_signal(signal.SIGINT)
        out, errors = told.communicate()
        assert (told.returncode, out) == (1, b"")
        assert f"{puppet.pid}: no answer yet" in errors.decode()
        puppet.wait_for("off", "arm(one)")


def test_out_of_reach(system_python: Interpreter, ring_dir: Path) -> None:
    """Named, and no success."""
    settings = {"GCPRELOAD_RING": "off"}
    with (
        Puppet(system_python, ring_dir) as reached,
        Puppet(system_python, ring_dir, **settings) as unreached,
    ):
        reached.do(*ARMED)
        reached.wait_for("ready")
        unreached.do(*ARMED)
        (ring,) = ring_files(ring_dir)
        other = ring.with_name("1.1.00000000")
        other.write_bytes(b"GCPRING2" + ring.read_bytes()[8:])
        words = ["set", "--dir", str(ring_dir), "--all", "mode=off", "--no-wait"]
        with other.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = command(*words)
            assert done.returncode == 1
            lines = done.stderr.decode().splitlines()
            assert f"{other.name}: a process that cannot be reached" in lines[0]
            assert f"{unreached.pid}: cannot be reached: GCPRELOAD_RING=off" in lines[1]
            assert len(lines) == 2
        unreached.end()
        done = command(*words)  # the other one has ended as well
        assert (done.returncode, done.stderr) == (0, b"")


# ---- files that do not count ----

OFF = "gcpreload-control 1 5 mode=off\n"


def plain(own: Path) -> None:
    (own / "all.ctl").write_text(OFF)


def others_may_write(own: Path) -> None:
    plain(own)
    (own / "all.ctl").chmod(0o666)


def link(own: Path) -> None:
    (own / "README").write_text(OFF)
    (own / "all.ctl").symlink_to("README")


def of_another_user(own: Path) -> None:
    plain(own)
    os.chown(own / "all.ctl", 65534, 65534)


def open_directory(own: Path) -> None:
    plain(own)
    own.chmod(0o777)


def directory_of_another_user(own: Path) -> None:
    plain(own)
    os.chown(own, 65534, 65534)


def noise(own: Path) -> None:
    (own / "all.ctl").write_bytes(bytes(range(256))[:100])


BAD: list[Callable[[Path], None]] = [others_may_write, link, open_directory, noise]
if os.geteuid() == 0:
    BAD += [of_another_user, directory_of_another_user]


@pytest.mark.parametrize("make", [plain, *BAD])
def test_whose_file_it_is(
    make: Callable[[Path], None], system_python: Interpreter, ring_dir: Path
) -> None:
    own = own_directory(ring_dir)
    own.mkdir(mode=0o700)
    make(own)
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import time", *ARMED)
        assert puppet.frozen() == (make is not plain)
        if make is noise:  # said once, whatever comes beside it, and when
            for number in range(2):
                (own / f"{number}").touch()
                puppet.do(*["time.sleep(1.1)", "arm(one)"] * 4)
            assert puppet.errors().count("control file ignored") == 1


def test_a_mode_of_a_later_version_is_observe(system_python: Interpreter, ring_dir: Path) -> None:
    own = own_directory(ring_dir)
    own.mkdir(mode=0o700)
    (own / "all.ctl").write_text("gcpreload-control 1 5 mode=better\n")
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("observing", "arm(one)")
        assert puppet.errors().count("not a mode of this version") == 1


def test_a_file_that_goes_changes_nothing(system_python: Interpreter, ring_dir: Path) -> None:
    """Nor does a directory. A cleaner may have been there."""
    own = own_directory(ring_dir)
    own.mkdir(mode=0o700)
    plain(own)
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import time", *ARMED)
        puppet.wait_for("off")
        (own / "all.ctl").unlink()
        for _ in range(3):
            puppet.do("time.sleep(1.1)", "arm(one)")
        assert puppet.shown().state == "off"
        assert not puppet.frozen()


def test_without_a_ring(system_python: Interpreter) -> None:
    """One that could make no file is reached all the same."""
    with (
        memory_dir() as ring_dir,
        Puppet(
            system_python,
            ring_dir,
            program=["prlimit", "--fsize=1000", system_python.path, PUPPET],
        ) as puppet,
    ):
        puppet.do("import time", *ARMED)
        assert puppet.frozen()
        assert ring_files(ring_dir) == []
        command("set", "--dir", ring_dir, "--all", "--no-wait", "mode=off")

        def look() -> bool:
            puppet.do("time.sleep(0.2)", "arm(one)")
            return not puppet.frozen()

        wait_for("it to be off", look)


def test_before_it_is_ready(system_python: Interpreter, ring_dir: Path) -> None:
    """GCPRELOAD_STARTUP_GC=0 acts from the start on."""
    settings = {"GCPRELOAD_STARTUP_GC": "0", "GCPRELOAD_SERVICE": "shop"}

    def froze_at_start() -> bool:
        with Puppet(system_python, ring_dir, **settings) as puppet:
            puppet.do("garbage(60000)")
            return puppet.frozen()

    assert froze_at_start()
    command("set", "--dir", ring_dir, "--service", "shop", "--no-wait", "mode=off")
    assert not froze_at_start()
    command("set", "--dir", ring_dir, "--service", "shop", "--no-wait", "mode=default")
    assert froze_at_start()


def test_a_parent_that_only_observes(system_python: Interpreter, ring_dir: Path) -> None:
    """It has measurements before it forks, and waits for nothing all the same."""
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="observe") as puppet:
        puppet.do("import os, time", "one = listen()")
        puppet.wait_for("observing", "garbage(60000)", "time.sleep(0.1)")
        puppet.do("child = os.fork() or os._exit(0)", "os.waitpid(child, 0)[1]")
        done = command("set", "--dir", ring_dir, "--wait", "0", "--all", "mode=off")
        assert f"{puppet.pid}: mode=off: parent of workers" in done.stdout.decode()
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["--all", "mode=off"], "gcpreload set --all mode=off: is in force"),
        (["--service", "shop", "mode=observe"], "gcpreload set --service 'shop' mode=observe"),
        (["--service", "shop", "mode=freeze"], ""),
        (["--service", "till", "mode=off"], ""),
    ],
    ids=str,
)
def test_the_doctor_knows(
    words: list[str], word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    env = environment(ring_dir, GCPRELOAD_SERVICE="shop")
    del env["LD_PRELOAD"]
    doctor = [COMMAND, "doctor", "--", system_python.path, PUPPET]
    before = run(doctor, env)
    command("set", "--dir", ring_dir, "--no-wait", *words)
    after = run(doctor, env)
    assert before.returncode != 1
    assert after.returncode == (1 if word else before.returncode)
    assert word in after.stdout.decode()
