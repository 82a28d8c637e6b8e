"""Commands to running processes: set, thaw, ready; and control files that are none."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.paths import COMMAND
from lib.puppet import Puppet, collections_of
from lib.rings import by_pid, command, ring_files, wait_for_state
from lib.run import memory_dir, wait_for
from lib.server import gunicorn
from lib.servers import KINDS, asking, own_thresholds
from venvs import Interpreter

TUNED = 50000
ARMED = ("one = listen()", "arm(one)")
WAIT = "90"  # for an answer; reached only by a test that fails


def tell(ring_dir: Path, *words: str) -> None:
    done = command(words[0], "--dir", ring_dir, "--timeout", WAIT, *words[1:])
    assert (done.returncode, done.stderr) == (0, b"")


def test_off_and_on_under_load(server_python: Interpreter, ring_dir: Path) -> None:
    """Four loaded workers; no request fails, and off is stock."""
    own = own_thresholds(server_python)
    with gunicorn(server_python, ring_dir, workers=4) as server:
        pids = {p.pid for p in wait_for_state(ring_dir, "ready", 4)}
        before = by_pid(ring_dir)
        with asking(server, "/garbage?n=100") as errors:
            tell(ring_dir, "set", *map(str, pids), "mode=off")
            off = {pid: p for pid, p in by_pid(ring_dir).items() if pid in pids}
            tell(ring_dir, "set", *map(str, pids), "mode=freeze")
            on = {pid: p for pid, p in by_pid(ring_dir).items() if pid in pids}
            tell(ring_dir, "set", *map(str, pids), "mode=off")
        assert errors == []
        for pid in pids:
            assert (off[pid].mode, off[pid].state, off[pid].frozen_objects) == ("off", "off", 0)
            assert off[pid].thresholds == own
            assert (on[pid].mode, on[pid].state) == ("freeze", "ready")
            assert on[pid].thresholds == [TUNED, *own[1:]]
            assert on[pid].frozen_objects > 20000
            assert collections_of(on[pid], "ready") == collections_of(before[pid], "ready") + 1
            state = server.ask(pid, "/state")
            assert state["thresholds"] == own
            assert state["frozen"] < 20000
            assert state["enabled"] is True


CHANGES: dict[str, tuple[list[str], str, str]] = {
    "mode=off": (["set", "mode=off"], "off", "off"),
    "mode=observe": (["set", "mode=observe"], "observe", "observing"),
    "thaw": (["thaw"], "freeze", "observing"),
}


@pytest.mark.parametrize("mode", ["freeze", "idle", "concurrent"])
def test_from_observing_to_a_mode_that_tunes(
    mode: str, system_python: Interpreter, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_MODE="observe") as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("observing", "garbage(60000)", "arm(one)")
        command("set", f"mode={mode}", str(puppet.pid), "--dir", ring_dir, "--timeout", "0")
        assert puppet.wait_for("ready", "garbage(60000)", "arm(one)").mode == mode
        assert puppet.collector()["frozen"]


@pytest.mark.parametrize("what", CHANGES)
def test_change_and_back(system_python: Interpreter, what: str, ring_dir: Path) -> None:
    words, mode, state = CHANGES[what]
    with Puppet(system_python, ring_dir) as puppet:
        stock = puppet.do("gc.get_threshold()")
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        done = command(*words, str(puppet.pid), "--dir", ring_dir, "--timeout", "0")
        assert done.returncode == 1, "nothing can have reached it"
        shown = puppet.wait_for(state, "garbage(60000)", "arm(one)")
        assert (shown.mode, shown.thresholds, shown.frozen_objects) == (mode, stock, 0)
        now = puppet.collector()
        assert now["thresholds"] == stock
        assert not now["frozen"]
        puppet.do("garbage(60000)", "arm(one)")
        assert not puppet.frozen(), "it stays as it was told"
        command("ready", str(puppet.pid), "--dir", ring_dir, "--timeout", "0")
        shown = puppet.wait_for("ready", "garbage(60000)", "arm(one)")
        assert (shown.mode, shown.fired) == ("freeze", "by gcpreload ready")
        assert puppet.frozen()


def test_ready_before_the_trigger(system_python: Interpreter, ring_dir: Path) -> None:
    """An observing process has a file, and so can be told."""
    settings = {"GCPRELOAD_MODE": "observe"}
    with gunicorn(system_python, ring_dir, **settings) as server:
        pids = {p.pid for p in wait_for_state(ring_dir, "observing", 2)}
        with asking(server):
            tell(ring_dir, "ready", *map(str, pids))
        assert {p.pid for p in wait_for_state(ring_dir, "ready", 2)} == pids


def test_service_and_all(system_python: Interpreter, ring_dir: Path) -> None:
    shop, other = {"GCPRELOAD_SERVICE": "shop"}, {"GCPRELOAD_SERVICE": "other"}
    with (
        gunicorn(system_python, ring_dir, workers=1, **shop) as one,
        gunicorn(system_python, ring_dir, workers=1, **other) as two,
    ):
        wait_for_state(ring_dir, "ready", 2)
        done = command("thaw", "--dir", ring_dir, "--service", "shop", "--timeout", "3")
        assert done.returncode in (0, 1)  # a parent may have nothing to wait for
        wait_for("the shop", lambda: one.json("/state")["thresholds"][0] != TUNED)
        assert two.json("/state")["thresholds"][0] == TUNED
        command("thaw", "--dir", ring_dir, "--all", "--timeout", "3")
        wait_for("the other", lambda: two.json("/state")["thresholds"][0] != TUNED)


OWN = {
    "thresholds": "gc.set_threshold(1234, 5, 6)",
    "disabled": "gc.disable()",
    "debug": "gc.set_debug(gc.DEBUG_UNCOLLECTABLE)",
}


@pytest.mark.parametrize("how", OWN)
@pytest.mark.parametrize("verb", ["thaw", "ready"])
def test_the_applications_word_wins(
    system_python: Interpreter, how: str, verb: str, ring_dir: Path
) -> None:
    """What it changed after us is left alone, also by a command; of ours nothing stays."""
    with Puppet(system_python, ring_dir) as puppet:
        own = puppet.collector()["thresholds"]
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        puppet.do(OWN[how])
        changed = puppet.collector()
        command(verb, str(puppet.pid), "--dir", ring_dir, "--timeout", "0")
        if verb == "thaw":
            puppet.wait_for("observing", "arm(one)")
        else:
            shown = puppet.wait_for("standing-back", "arm(one)")
            assert ("disabled" if how == "disabled" else how.rstrip("s")) in shown.reason
        now = puppet.collector()
        assert (now["enabled"], now["debug"]) == (changed["enabled"], changed["debug"])
        assert now["thresholds"] == ([1234, 5, 6] if how == "thresholds" else own)
        assert not now["frozen"]


def test_what_stands_back_says_so(system_python: Interpreter, ring_dir: Path) -> None:
    """It takes the command, whatever the application did before: nothing of ours stays."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        puppet.do("gc.set_threshold(1234, 5, 6)")
        words = ["thaw", str(puppet.pid), "--dir", str(ring_dir), "--timeout", WAIT]
        told = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for("its end", lambda: (puppet.do("arm(one)"), told.poll() is not None)[1])
        out, errors = told.communicate()
        now = puppet.shown()
        assert "thaw: mode freeze, observing" in out.decode()
        assert (told.returncode, errors, now.frozen_objects) == (0, b"", 0)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"GCPRELOAD_RING": "off"}, "GCPRELOAD_RING=off"),
        ({"GCPRELOAD_MODE": "off"}, "GCPRELOAD_MODE=off: the library does nothing"),
        ({"GCPRELOAD_EXCEPT": "*puppet*"}, "GCPRELOAD_EXCEPT=*puppet*: matches"),
    ],
    ids=str,
)
def test_without_measurements(
    settings: dict[str, str], word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    """It cannot be told anything, and why is said."""
    with Puppet(system_python, ring_dir, **settings) as puppet:
        puppet.do("1")
        for verb in ("ready", "thaw"):
            done = command(verb, str(puppet.pid), "--dir", ring_dir)
            assert done.returncode == 1
            assert word in done.stderr.decode()


def test_with_measurements_elsewhere(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet, memory_dir() as elsewhere:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        done = command("thaw", str(puppet.pid), "--dir", elsewhere)
        assert done.returncode == 1
        assert f"its measurements are in {ring_dir}" in done.stderr.decode()


# ---- control files that are none ----


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256))[:100])


def nothing(path: Path) -> None:
    path.write_text("")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def unknown_verb(path: Path) -> None:
    path.write_text("gcpreload-control 1 1 mode=nonsense\n")


def other_version(path: Path) -> None:
    path.write_text("gcpreload-control 2 1 mode=off\n")


def half(path: Path) -> None:
    path.write_text("gcpreload-control 1 1 mode=off")


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    target = path.with_name("README")
    target.write_text("gcpreload-control 1 1 mode=off\n")
    path.symlink_to(target)


def of_another_user(path: Path) -> None:
    path.write_text("gcpreload-control 1 1 mode=off\n")
    os.chown(path, 65534, 65534)


NONE = [noise, nothing, huge, unknown_verb, other_version, half, directory, fifo, link]
if os.geteuid() == 0:  # who else can give a file away?
    NONE.append(of_another_user)


def test_control_file_that_is_none(system_python: Interpreter) -> None:
    """Ignored, and said, once. All side by side, since each waits for some seconds."""
    looks = "garbage(60000); arm(one)"
    with ExitStack() as stack:
        puppets = {}
        for make in NONE:
            ring_dir = stack.enter_context(memory_dir())
            puppet = stack.enter_context(Puppet(system_python, ring_dir))
            puppet.do(*ARMED)
            puppets[make.__name__] = (puppet, puppet.wait_for("ready"))
            (ring,) = ring_files(ring_dir)
            make(ring.with_name(ring.name + ".ctl"))

        def look_at_all() -> None:
            time.sleep(1.1)  # as often as commands are looked for
            for puppet, _ in puppets.values():
                puppet.do(looks)

        def silent() -> list[str]:
            look_at_all()
            return [name for name, (puppet, _) in puppets.items() if not puppet.errors()]

        wait_for("a word of each", lambda: silent() == ["nothing"])
        look_at_all()
        look_at_all()
        for name, (puppet, before) in puppets.items():
            lines = puppet.errors().splitlines()
            assert len(lines) == (name != "nothing"), (name, lines)
            assert all("control file" in line for line in lines), (name, lines)
            now = puppet.shown()
            after = (now.state, now.mode, now.thresholds)
            assert after == ("ready", "freeze", before.thresholds), name
            assert puppet.frozen(), name


def test_a_command_is_taken_once(system_python: Interpreter, ring_dir: Path) -> None:
    """An old control file that stays there does nothing again."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import time", *ARMED)
        puppet.wait_for("ready")
        (ring,) = ring_files(ring_dir)
        control = ring.with_name(ring.name + ".ctl")
        control.write_text("gcpreload-control 1 5 thaw\n")
        puppet.wait_for("observing", "arm(one)")
        control.write_text("gcpreload-control 1 7 ready\n")
        puppet.wait_for("ready", "arm(one)")
        control.write_text("gcpreload-control 1 6 mode=off\n")
        puppet.do("time.sleep(1.1)", "arm(one)", "time.sleep(1.1)", "arm(one)")
        assert puppet.shown().state == "ready"
        assert puppet.errors() == ""


@pytest.mark.parametrize("kind", ["gunicorn gevent", "uvicorn uvloop"])
def test_in_an_event_loop(kind: str, server_python: Interpreter, ring_dir: Path) -> None:
    """What a command has to do there is done by a task of the loop."""
    (how,) = (one for one in KINDS if one.name == kind)
    if how.possible(server_python):
        pytest.skip(how.possible(server_python))
    with how.start(server_python, ring_dir) as server:
        process = wait_for_state(ring_dir, "ready")[0]
        with asking(server) as errors:
            tell(ring_dir, "set", str(process.pid), "mode=off")
            assert by_pid(ring_dir)[process.pid].state == "off"
            tell(ring_dir, "set", str(process.pid), "mode=freeze")
            wait_for("it is tuned again", lambda: by_pid(ring_dir)[process.pid].state == "ready")
        assert errors == []
        assert by_pid(ring_dir)[process.pid].thresholds[0] == TUNED


def test_that_cannot_be_opened_for_now(system_python: Interpreter, ring_dir: Path) -> None:
    """A process without a descriptor to spare says nothing, and takes the command later."""
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("import resource, time", *ARMED)
        shown = puppet.wait_for("ready")
        puppet.do(
            "old = resource.getrlimit(resource.RLIMIT_NOFILE)",
            "resource.setrlimit(resource.RLIMIT_NOFILE, (0, old[1]))",
        )
        told = command("set", "--dir", ring_dir, "--timeout", "0.1", str(shown.pid), "mode=off")
        assert told.returncode == 1
        puppet.do("time.sleep(1.2)", "arm(one)", "garbage(60000)", "time.sleep(1.2)", "arm(one)")
        assert puppet.shown().state == "ready"
        assert puppet.errors() == ""
        puppet.do("resource.setrlimit(resource.RLIMIT_NOFILE, old)")
        assert puppet.wait_for("off", "time.sleep(0.2)", "arm(one)").mode == "off"
