"""gcpreload.conf, and the settings that say whom the library leaves alone and where it writes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.paths import APPS, COMMAND
from lib.puppet import Puppet
from lib.rings import Process, ring_files
from lib.run import Completed, environment, files_below, run
from venvs import Interpreter

ARMED = ("one = listen()", "arm(one)")
READY_ONCE = APPS / "ready_once.py"

Conf = Callable[..., Process]


@pytest.fixture
def conf(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> Conf:
    """What a process shows that was ready with that file, and what it said."""

    def started(content: str | bytes, said: int = 0, **settings: str) -> Process:
        path = tmp_path / "gcpreload.conf"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings["GCPRELOAD_CONF"] = str(path)
        if b"mode" not in path.read_bytes():  # the one that sets the thresholds of the file
            settings["GCPRELOAD_MODE"] = "freeze"
        with Puppet(system_python, ring_dir, **settings) as puppet:
            puppet.do(*ARMED)
            shown = puppet.wait_for(settings.pop("_state", "ready"))
            lines = puppet.errors().splitlines()
            assert len(lines) == said, lines
            for line in lines:
                assert re.match(r"gcpreload\[\d+\]: ", line)
                assert str(path) in line
            shown.fields["said"] = puppet.errors()
        return shown

    return started


def test_values(conf: Conf) -> None:
    shown = conf("# a comment\n\n; another\n thresholds = 30000,7,keep \r\nservice=shop")
    assert shown.thresholds == [30000, 7, 10]
    assert shown.service["name"] == "shop"


def test_a_byte_order_mark(conf: Conf) -> None:
    assert conf(b"\xef\xbb\xbfthresholds = 30000,7,8\n").thresholds == [30000, 7, 8]


def test_sections(conf: Conf) -> None:
    text = (
        "service = everybody\n"
        "[*gunicorn*]\nthresholds = 1111,keep,keep\n"
        "[*puppet.py]\nthresholds = 2222,keep,keep\n"
        "[*nobody-runs-this*]\nthresholds = 3333,keep,keep\nservice = nobody\n"
    )
    shown = conf(text)
    assert shown.thresholds[0] == 2222
    assert shown.service["name"] == "everybody"


def test_a_later_line_beats_an_earlier(conf: Conf) -> None:
    text = "thresholds = 1111,1,1\n[*puppet*]\nthresholds = 2222,2,2\n[*.py]\nservice = x\n"
    shown = conf(text)
    assert (shown.thresholds, shown.service["name"]) == ([2222, 2, 2], "x")


def test_environment_beats_file(conf: Conf) -> None:
    shown = conf("thresholds = 1111,1,1\nservice = file\n", GCPRELOAD_SERVICE="environment")
    assert (shown.thresholds, shown.service["name"]) == ([1111, 1, 1], "environment")


def test_mode_of_the_file(conf: Conf) -> None:
    assert conf("mode = observe\n", _state="observing").mode == "observe"


BAD_LINES = {
    "bad value": ("mode = nonsense", "nonsense"),
    "no value": ("mode", "line 1"),
    "another syntax": ("mode: off", "line 1"),
    "another place": ("disable = 1", "environment only"),
    "no glob": ("[]", "line 1"),
    "open section": ("[*puppet*", "line 1"),
    "open glob": ("[*[puppet*]", "line 1"),
}


def test_unknown_name(conf: Conf) -> None:
    """One line that names it; the others count."""
    shown = conf("modus = off\nservice = shop\n", said=1)
    assert "line 1 of" in shown.said
    assert "MODUS" in shown.said
    assert shown.thresholds[0] == 50000
    assert shown.service["name"] == "shop"


@pytest.mark.parametrize("what", BAD_LINES)
def test_bad_line(conf: Conf, what: str) -> None:
    """One line that names it; the others count. Nothing is tuned: it may have been mode = off."""
    line, word = BAD_LINES[what]
    text = f"{line}\n" if line.startswith("[") else f"{line}\nservice = shop\n"
    shown = conf(text, said=1, _state="observing")
    assert word.lower() in shown.said.lower()
    assert "line 1 of" in shown.said
    assert "line 1 of" in shown.reason
    assert shown.mode == "observe"
    named = not line.startswith("[")
    assert (shown.service["name"] == "shop") == (shown.service["from"] == "setting") == named


BAD_FILES = {
    "binary": bytes(range(256)),
    "a NUL": b"mode = observe\n\0",
    "overlong": b"# long\n" * 5000 + b"mode = observe\n",
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_file(conf: Conf, what: str) -> None:
    shown = conf(BAD_FILES[what], said=1, _state="observing")
    assert shown.reason.startswith("unusable settings: /")


def once(python: Interpreter, ring_dir: Path, conf: str | Path, **settings: str) -> Completed:
    settings["GCPRELOAD_CONF"] = str(conf)
    done = run([python.path, READY_ONCE], environment(ring_dir, **settings))
    assert done.returncode == 0
    return done


@pytest.mark.parametrize("what", ["missing", "directory", "unreadable"])
def test_no_file(system_python: Interpreter, what: str, ring_dir: Path, tmp_path: Path) -> None:
    """Nobody knows what it says."""
    path = tmp_path / "conf"
    if what == "directory":
        path.mkdir()
    elif what == "unreadable":
        path.symlink_to(path)  # too many links, also for root
    done = once(system_python, ring_dir, path)
    assert b'"thresholds": [50000' not in done.stdout
    (line,) = done.stderr.decode().splitlines()
    assert str(path) in line


def test_empty_conf_is_no_file(system_python: Interpreter, ring_dir: Path) -> None:
    assert once(system_python, ring_dir, "").stderr == b""


def test_the_current_directory_is_not_read(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "gcpreload.conf").write_text("mode = off\n")
    env = environment(ring_dir)
    done = run([system_python.path, READY_ONCE], env, cwd=tmp_path)
    assert b'"thresholds": [50000' in done.stdout
    env["GCPRELOAD_CONF"] = "gcpreload.conf"
    done = run([system_python.path, READY_ONCE], env, cwd=tmp_path)
    assert b'"thresholds": [50000' not in done.stdout
    assert b"GCPRELOAD_CONF=gcpreload.conf" in done.stderr


WHO = [
    ({"ONLY": "*gunicorn*"}, False),
    ({"ONLY": "*puppet.py"}, True),
    ({"ONLY": "*gunicorn*,*puppet*"}, True),
    ({"ONLY": "puppet.py"}, False),  # the whole command line
    ({"EXCEPT": "*puppet*"}, False),
    ({"EXCEPT": "*gunicorn*,*celery*"}, True),
    ({"ONLY": "*puppet*", "EXCEPT": "*pup*"}, False),
    ({"ONLY": ",", "EXCEPT": ""}, False),
    ({"ONLY": "", "EXCEPT": ""}, True),
    ({"DISABLE": "1", "FORCE": "1", "ONLY": "*puppet*"}, False),
]


@pytest.mark.parametrize(("settings", "acts"), WHO, ids=str)
def test_who(
    system_python: Interpreter, settings: dict[str, str], acts: bool, ring_dir: Path
) -> None:
    """Left alone means wholly: no callback, no file, no word about a bad setting."""
    env = {f"GCPRELOAD_{name}": value for name, value in settings.items()}
    if not acts:
        env["GCPRELOAD_MODE"] = "nonsense"
    with Puppet(system_python, ring_dir, **env) as puppet:
        assert puppet.do("len(gc.callbacks)") == acts
        puppet.do(*ARMED)
        assert puppet.frozen() == acts
        assert bool(ring_files(ring_dir)) == acts
        assert puppet.errors() == ""


def test_who_in_the_file(conf: Conf, system_python: Interpreter, ring_dir: Path) -> None:
    assert conf("only = *puppet*\n").state == "ready"
    for path in ring_files(ring_dir):
        path.unlink()
    text = ring_dir / "conf"
    text.write_text("except = *puppet*\nnonsense = 1\n")
    with Puppet(system_python, ring_dir, GCPRELOAD_CONF=str(text)) as puppet:
        puppet.do(*ARMED)
        assert not puppet.frozen()
        assert puppet.errors() == ""


@pytest.mark.parametrize("how", ["environment", "mode"])
def test_disabled_whatever_the_file_says(
    system_python: Interpreter, how: str, ring_dir: Path
) -> None:
    text = ring_dir / "conf"
    text.write_text("mode = freeze\nforce = 1\nnonsense\n")
    env = {"GCPRELOAD_DISABLE": "1"} if how == "environment" else {"GCPRELOAD_MODE": "off"}
    with Puppet(system_python, ring_dir, GCPRELOAD_CONF=str(text), **env) as puppet:
        puppet.do(*ARMED)
        assert not puppet.frozen()
        assert puppet.do("len(gc.callbacks)") == 0
        assert (puppet.errors() == "") == (how == "environment")


# ---- the directory ----


def test_a_directory_that_is_everybodys(system_python: Interpreter, ring_dir: Path) -> None:
    """As a Kubernetes emptyDir: 0777, and another user's."""
    ring_dir.chmod(0o777)
    if os.geteuid() == 0:
        os.chown(ring_dir, 65534, 65534)
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        (path,) = ring_files(ring_dir)
        assert path.parent.name == f"gcpreload-{os.geteuid()}"
        assert path.parent.stat().st_mode & 0o7777 == 0o700
        assert path.parent.stat().st_uid == os.geteuid()
        assert puppet.errors() == ""


def test_group(system_python: Interpreter, ring_dir: Path) -> None:
    """A reader with another uid, of that group."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to a group that it is not in")
    group = 54321
    ring_dir.chmod(0o755)
    with Puppet(system_python, ring_dir, GCPRELOAD_GROUP=str(group)) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        (path,) = ring_files(ring_dir)
        for what, mode in ((path, 0o440), (path.parent, 0o2750)):
            assert what.stat().st_gid == group
            assert what.stat().st_mode & 0o7777 == mode
        reader = f"cat {path} >/dev/null && ls {path.parent} >/dev/null"
        become = ["setpriv", "--reuid=65534", "--regid=65534"]
        member = [*become, f"--groups={group}", "sh", "-c", reader]
        stranger = [*become, "--clear-groups", "sh", "-c", reader]
        assert run(member, environment()).returncode == 0
        assert run(stranger, environment()).returncode != 0


def test_ring_off(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_RING="off") as puppet:
        puppet.do(*ARMED)
        assert puppet.frozen()
        assert files_below(ring_dir) == []
        assert puppet.errors() == ""


def test_ring_required(system_python: Interpreter, ring_dir: Path) -> None:
    missing = ring_dir / "missing"
    settings = {"GCPRELOAD_DIR": str(missing), "GCPRELOAD_RING": "require"}
    with Puppet(system_python, ring_dir, **settings) as puppet:
        puppet.do(*ARMED, "garbage(60000)", "arm(one)")
        assert not puppet.frozen()
        assert puppet.collector()["thresholds"][0] != 50000
        (line,) = puppet.errors().splitlines()
        assert str(missing) in line


def test_run_takes_settings_as_options(system_python: Interpreter, ring_dir: Path) -> None:
    program = [COMMAND, "run", "-m", "observe", "-t", "auto", "--service=shop", "--"]
    program += [system_python.path, APPS / "puppet.py"]
    with Puppet(system_python, ring_dir, program=program) as puppet:
        puppet.do(*ARMED)
        shown = puppet.wait_for("observing")
        assert (shown.mode, shown.service["name"]) == ("observe", "shop")
