"""gcpreload doctor: whether a command will be tuned, and if not, why, in words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lib.paths import APPS, COMMAND, LIBRARY
from lib.puppet import Puppet
from lib.rings import by_pid
from lib.run import environment, run
from venvs import Interpreter, supported_interpreters, venv

VERDICTS = {0: True, 1: False, 3: None}
SERVER = ("-m", "http.server")


def doctor(
    *words: str | Path, ring_dir: Path, preload: bool = True, **settings: str
) -> tuple[bool | None, str]:
    """Whether it will be tuned (None: it depends), and all that was said; --json and the text must
    agree."""
    env = environment(ring_dir, **settings)
    if not preload:
        del env["LD_PRELOAD"]
    text = run([COMMAND, "doctor", *words], env)
    data = run([COMMAND, "doctor", "--json", *words], env)
    assert text.returncode == data.returncode in VERDICTS, text.stderr
    answer: dict[str, Any] = json.loads(data.stdout)
    assert answer["tuned"] is VERDICTS[text.returncode]
    said = text.stdout.decode()
    for finding in answer["findings"]:
        assert finding["text"] in said
    return answer["tuned"], said


def test_a_python(python: Interpreter, ring_dir: Path) -> None:
    tuned, said = doctor("--", python.path, *SERVER, ring_dir=ring_dir)
    assert tuned, said
    assert ".".join(map(str, python.version)) in said
    assert "attached" in said
    assert list(ring_dir.iterdir()) == [], "it leaves nothing"


def test_a_python_without_marks(python: Interpreter, ring_dir: Path) -> None:
    mode = {"GCPRELOAD_MODE": "concurrent"}
    tuned, said = doctor("--", python.path, *SERVER, ring_dir=ring_dir, **mode)
    assert tuned, said
    other = "GCPRELOAD_MODE=concurrent: mode idle will be used; not concurrent: " in said
    assert other == (python.version < (3, 8))


def test_an_old_python(old_python: Interpreter, ring_dir: Path) -> None:
    tuned, said = doctor("--", old_python.path, *SERVER, ring_dir=ring_dir)
    assert not tuned
    assert "not supported" in said
    assert "3.7" in said


def test_a_script(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """#! is followed; the application is never started."""
    script, mark = tmp_path / "app", tmp_path / "mark"
    script.write_text(f"#!{system_python.path} -E\nopen({str(mark)!r}, 'w')\n")
    script.chmod(0o755)
    assert doctor("--", script, ring_dir=ring_dir)[0] is None
    assert not mark.exists()


@pytest.mark.parametrize(
    ("words", "settings", "tuned", "word"),
    [
        (["-c", "1"], {}, None, "-c: whether"),
        (["-Im", "gunicorn", "app"], {}, True, "a server"),
        (["-W", "ignore", "-X", "dev", "-muvicorn", "app"], {}, True, "a server"),
        (["-uW", "ignore", "somewhere/app.py"], {}, None, "app.py: whether"),
        ([], {}, None, "standard input"),
        (["-m", "celery", "worker"], {}, None, "GCPRELOAD_TRIGGER=fork"),
        (["-m", "celery"], {"GCPRELOAD_TRIGGER": "import:x,fork+5"}, True, "forks"),
        (["-m", "gunicorn"], {"GCPRELOAD_TRIGGER": "signal"}, None, "GCPRELOAD_TRIGGER=signal"),
        (["-m", "gunicorn"], {"GCPRELOAD_TRIGGER": "signal,auto+5"}, True, "a server"),
        (["app.py"], {"GCPRELOAD_TRIGGER": "import:x"}, None, "GCPRELOAD_TRIGGER=import:x"),
    ],
    ids=str,
)
def test_what_may_never_be_ready(
    words: list[str],
    settings: dict[str, str],
    tuned: bool | None,
    word: str,
    system_python: Interpreter,
    ring_dir: Path,
) -> None:
    """It is tuned only if it becomes ready, and only running it would show that."""
    command = [system_python.path, *words]
    answer, said = doctor("--", *command, ring_dir=ring_dir, **settings)
    assert answer is tuned, said
    assert word in said
    assert ("will be tuned only on a condition" in said) == (tuned is None)


def a_frozen_program(path: Path) -> Path:
    """tests/apps/ready_once.py, made into a program by PyInstaller."""
    shared = [
        p
        for p in supported_interpreters()
        if p.shared and p.with_gil and (3, 8) <= p.minor < (3, 14)
    ]
    if not shared:
        pytest.skip("no interpreter with a libpython was found")
    try:
        maker = venv("pyinstaller", shared[-1])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"PyInstaller cannot be installed: {error}")
    words = ["--onedir", "--distpath", path, "--workpath", path / "work", "--specpath", path]
    words = [maker, "-m", "PyInstaller", *words, APPS / "ready_once.py"]
    done = run(words, environment(PYINSTALLER_CONFIG_DIR=str(path / "cache")))
    assert done.returncode == 0, done.stderr
    return path / "ready_once" / "ready_once"


def test_a_program_of_pyinstaller(ring_dir: Path, tmp_path: Path) -> None:
    """It is tuned, if it is a server: doctor must not say that it will not be."""
    program = a_frozen_program(tmp_path)
    tuned, said = doctor("--", program, ring_dir=ring_dir)
    assert tuned is None
    assert "PyInstaller" in said
    done = run([program], environment(ring_dir))
    assert json.loads(done.stdout)["thresholds"][0] == 50000, done.stderr


def test_gunicorn(system_python: Interpreter, ring_dir: Path) -> None:
    script = Path(venv("gunicorn", system_python)).parent / "gunicorn"
    assert doctor("--", script, "wsgi:app", ring_dir=ring_dir)[0]


@pytest.mark.parametrize(
    "words",
    [
        ["env", "A=1"],
        ["/usr/bin/env", "-u", "HOME"],
        ["nice", "-n", "5"],
        ["timeout", "-k", "5", "10"],
        ["env", "nice", "timeout", "10"],
        ["sh", "-c"],
    ],
    ids=" ".join,
)
def test_wrappers_that_pass_it_on(
    words: list[str], system_python: Interpreter, ring_dir: Path
) -> None:
    command = [system_python.path, *SERVER]
    if words[0] == "sh":
        command = [f"exec {system_python.path} -m http.server"]
    tuned, said = doctor("--", *words, *command, ring_dir=ring_dir)
    assert tuned, said


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["env", "-i"], "env -i"),
        (["env", "-u", "LD_PRELOAD"], "LD_PRELOAD"),
        (["docker", "run", "image"], "docker"),
        (["ssh", "host"], "ssh"),
    ],
)
def test_wrappers_that_drop_it(
    words: list[str], word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    tuned, said = doctor("--", *words, system_python.path, *SERVER, ring_dir=ring_dir)
    assert not tuned
    assert word in said


def test_sudo(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """By its name, wherever it is; it cleans the environment."""
    fake = tmp_path / "sudo"
    shutil.copy("/bin/true", fake)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["sudo", "-u", "www-data", system_python.path, *SERVER]
    tuned, said = doctor("--", *command, ring_dir=ring_dir, PATH=path)
    assert not tuned
    assert "sudo" in said


OBSERVED = "will only be observed"
NOT_TUNED = "will not be tuned"
TUNED = "will be tuned when it is ready"
DEPENDS = "will be tuned only on a condition"
VERDICT_OF = {OBSERVED: False, NOT_TUNED: False, TUNED: True, DEPENDS: None}
SETTINGS = [
    ({"DISABLE": "1"}, [], NOT_TUNED, "no    GCPRELOAD_DISABLE=1: "),
    ({"DISABLE": "yes"}, [], NOT_TUNED, "no    GCPRELOAD_DISABLE=yes: "),
    ({"DISABLE": "false"}, [], TUNED, ""),
    ({"DISABLE": "True"}, [], NOT_TUNED, "no    GCPRELOAD_DISABLE=True: "),
    ({"DISABLE": "maybe"}, [], NOT_TUNED, "GCPRELOAD_DISABLE=maybe: neither yes nor no"),
    ({"FORCE": "true"}, [], TUNED, ""),
    ({"MODE": "off"}, [], NOT_TUNED, "no    GCPRELOAD_MODE=off: "),
    ({"MODE": "observe"}, [], OBSERVED, "no    GCPRELOAD_MODE=observe: "),
    ({"TRIGGER": "none"}, [], NOT_TUNED, "no    GCPRELOAD_TRIGGER=none: "),
    ({"SAMPLE": "0"}, [], OBSERVED, "no    GCPRELOAD_SAMPLE=0: "),
    ({"SAMPLE": "0.5", "SAMPLE_BY": "process"}, [], DEPENDS, "decides by chance"),
    ({"SAMPLE": "0.5", "MODE": "observe"}, [], OBSERVED, "no    GCPRELOAD_MODE=observe: "),
    ({}, ["-m", "off"], NOT_TUNED, "no    --mode=off of gcpreload run: "),
    ({}, ["--mode", "observe"], OBSERVED, "no    --mode=observe of gcpreload run: "),
    ({"MODE": "off"}, ["--mode", "idle"], TUNED, "--mode=idle of gcpreload run"),
    ({}, ["--young-ms", "5"], TUNED, "--young-ms=5 of gcpreload run"),
    ({}, ["--sample", "0.5", "--sample-by=process"], DEPENDS, "--sample=0.5"),
    ({}, ["--sample", "2"], NOT_TUNED, "gcpreload run: --sample: 2 is not a number from 0"),
    ({}, ["--disable"], NOT_TUNED, "no    --disable=1 of gcpreload run: "),
    ({"BUDGET_MS": "abc"}, [], TUNED, "GCPRELOAD_BUDGET_MS=abc: must be milliseconds"),
    ({"TRIGGER": "foo"}, [], OBSERVED, "GCPRELOAD_TRIGGER=foo: must be none, or"),
    ({"SAMPLE": "2"}, [], OBSERVED, "GCPRELOAD_SAMPLE=2: must be a number from 0 to 1"),
    ({"SAMPLE": "x"}, [], OBSERVED, "no    unusable setting: GCPRELOAD_SAMPLE=x; collections are"),
    ({"BASELINE": "x"}, [], OBSERVED, "GCPRELOAD_BASELINE=x: must be seconds"),
    ({}, ["--mode", "Off"], NOT_TUNED, "no    --mode=Off of gcpreload run: "),
    ({}, ["--mode=parallel"], NOT_TUNED, "gcpreload run: --mode: parallel is not off, observe"),
    ({"SAMPLE_BY": "moon"}, [], TUNED, "GCPRELOAD_SAMPLE_BY=moon: must be pod or process"),
    ({"MODUS": "off"}, [], TUNED, "GCPRELOAD_MODUS is not a setting"),
]


@pytest.mark.parametrize(("settings", "options", "verdict", "word"), SETTINGS, ids=str)
def test_settings(
    settings: dict[str, str],
    options: list[str],
    verdict: str,
    word: str,
    system_python: Interpreter,
    ring_dir: Path,
) -> None:
    """As the library takes them, and where they come from."""
    env = {f"GCPRELOAD_{name}": value for name, value in settings.items()}
    words = [COMMAND, "run", *options, "--"] if options else []
    tuned, said = doctor("--", *words, system_python.path, *SERVER, ring_dir=ring_dir, **env)
    assert tuned is VERDICT_OF[verdict]
    assert verdict in said
    assert word in said


FILES = [
    ("mode = observe\n", OBSERVED, "mode = observe (line 1 of {conf}): "),
    ("# off\n[*http.server*]\nmode = off\n", NOT_TUNED, "mode = off (line 3 of {conf}): "),
    ("[*gunicorn*]\nmode = off\n", TUNED, ""),
    ("except = *http.server*\n", NOT_TUNED, "except = *http.server* (line 1 of {conf}): "),
    ("sample = 0\n", OBSERVED, "sample = 0 (line 1 of {conf}): "),
    ("ring = off\n", TUNED, "ring = off (line 1 of {conf}): nothing will be measured"),
    ("mode = frezze\n", OBSERVED, "line 1 of {conf}: MODE=frezze: must be off"),
    ("disable = 1\n", OBSERVED, "line 1 of {conf}: DISABLE counts in the environment only"),
]


@pytest.mark.parametrize(("text", "verdict", "word"), FILES, ids=str)
def test_the_file(
    text: str,
    verdict: str,
    word: str,
    system_python: Interpreter,
    ring_dir: Path,
    tmp_path: Path,
) -> None:
    conf = tmp_path / "some.conf"
    conf.write_text(text)
    words = ("--", system_python.path, *SERVER)
    said = doctor(*words, ring_dir=ring_dir, GCPRELOAD_CONF=str(conf))[1]
    assert verdict in said
    assert word.format(conf=conf) in said


def test_a_missing_file(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    words = ("--", system_python.path, *SERVER)
    said = doctor(*words, ring_dir=ring_dir, GCPRELOAD_CONF=str(tmp_path / "x"))[1]
    assert f"the settings in {tmp_path / 'x'} are ignored: No such file" in said


def test_before_it_is_run(system_python: Interpreter, ring_dir: Path) -> None:
    """Without LD_PRELOAD it answers for `gcpreload run`, and says which library that is."""
    tuned, said = doctor("--", system_python.path, *SERVER, ring_dir=ring_dir, preload=False)
    assert tuned
    assert str(LIBRARY) in said


def test_no_python(ring_dir: Path) -> None:
    tuned, said = doctor("--", "/bin/ls", ring_dir=ring_dir)
    assert not tuned
    assert "Python" in said


def test_a_static_binary(ring_dir: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    build = ["cc", "-static", "-x", "c", "-o", program, "-"]
    subprocess.run(build, input=b"int main(void) { return 0; }", check=True)
    tuned, said = doctor("--", program, ring_dir=ring_dir)
    assert not tuned
    assert "static" in said


def test_a_setuid_program(ring_dir: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make one of another user")
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    tuned, said = doctor("--", program, ring_dir=ring_dir)
    assert not tuned
    assert "setuid" in said


@pytest.mark.parametrize("what", ["missing", "directory", "text", "empty", "noise", "fifo"])
def test_things_that_are_no_programs(what: str, ring_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what != "missing":
        path.write_bytes({"text": b"hello", "empty": b"", "noise": bytes(range(256))}[what])
        path.chmod(0o755)
    tuned, said = doctor("--", path, ring_dir=ring_dir)
    assert not tuned
    assert str(path) in said


def test_no_tmpfs(system_python: Interpreter, disk_dir: Path) -> None:
    where = run(["stat", "-f", "-c", "%T", disk_dir], environment()).stdout.strip()
    if where == b"tmpfs":
        pytest.skip("the checkout is on tmpfs")
    _, said = doctor("--", system_python.path, ring_dir=disk_dir)
    assert "tmpfs" in said


def test_a_running_process(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("1")
        tuned, said = doctor("--pid", str(puppet.pid), ring_dir=ring_dir, preload=False)
        assert not tuned
        assert "listening socket" in said
        puppet.do("one = listen()", "arm(one)")
        tuned, said = doctor("--pid", str(puppet.pid), ring_dir=ring_dir, preload=False)
        assert tuned, said
        assert "ready" in said


def test_a_running_process_without_it(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, None) as puppet:
        puppet.do("1")
        tuned, said = doctor("--pid", str(puppet.pid), ring_dir=ring_dir)
        assert not tuned
        assert "LD_PRELOAD" in said


REASONS = [
    ({"GCPRELOAD_DISABLE": "yes"}, "", NOT_TUNED, "GCPRELOAD_DISABLE=yes: "),
    ({"GCPRELOAD_DISABLE": "false"}, "", NOT_TUNED, "not ready yet"),
    ({}, "mode = off\n", NOT_TUNED, "mode = off (line 1 of"),
    ({}, "[*puppet*]\nmode = observe\n", OBSERVED, "mode = observe (line 2 of"),
    ({}, "ring = off\n", DEPENDS, "ring = off (line 1 of"),
    ({"GCPRELOAD_SAMPLE": "0"}, "", OBSERVED, "GCPRELOAD_SAMPLE=0: "),
]


@pytest.mark.parametrize(("settings", "text", "verdict", "word"), REASONS, ids=str)
def test_settings_of_a_running_process(
    settings: dict[str, str],
    text: str,
    verdict: str,
    word: str,
    system_python: Interpreter,
    ring_dir: Path,
    tmp_path: Path,
) -> None:
    """Its own, and its own file; ps --all says the same."""
    conf = tmp_path / "conf"
    conf.write_text(text)
    own = {**settings, "GCPRELOAD_CONF": str(conf) if text else ""}
    with Puppet(system_python, ring_dir, **own) as puppet:
        puppet.do("1")
        tuned, said = doctor("--pid", str(puppet.pid), ring_dir=ring_dir, GCPRELOAD_MODE="off")
        shown = by_pid(ring_dir, "--all")[puppet.pid]
    assert tuned is VERDICT_OF[verdict]
    assert word in shown.reason
    assert word in said or word == "not ready yet"
    assert ("only observed" in said) == (verdict == OBSERVED)


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("nothing", ""),
        ("replaced", "was replaced or removed"),
        ("removed", "was replaced or removed"),
        ("written to", "was written to"),
    ],
)
@pytest.mark.parametrize("ready", [True, False])
def test_a_library_that_changed(
    what: str, word: str, ready: bool, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """cp writes into the file that processes have mapped; a new one in its place is another."""
    library, new = tmp_path / LIBRARY.name, tmp_path / "new"
    for path in (library, new):
        shutil.copy(LIBRARY, path)
    with Puppet(system_python, ring_dir, extra={"LD_PRELOAD": str(library)}) as puppet:
        puppet.do("one = listen()", "arm(one)" if ready else "1")
        if what == "replaced":
            new.rename(library)
        elif what == "removed":
            library.unlink()
        elif what == "written to":
            later = library.stat().st_mtime + 3600  # the same bytes, or this process would end
            os.utime(library, (later, later))
        tuned, said = doctor("--pid", str(puppet.pid), ring_dir=ring_dir, preload=False)
        assert tuned == ready
        assert word in said
        assert ("replaced or removed" in said or "written to" in said) == bool(word)


# A filter that allows everything, and then the program.
FILTERED = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("HP", 1, ctypes.addressof(allow)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
if libc.prctl(22, 2, program) != 0:
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_filter_of_system_calls(system_python: Interpreter, ring_dir: Path) -> None:
    program = [system_python.path, "-c", FILTERED, system_python.path, APPS / "puppet.py"]
    look = [system_python.path, "-c", FILTERED, COMMAND, "doctor", "--", system_python.path]
    if run([*program[:3], "/bin/true"], environment()).returncode == 77:
        pytest.skip("this kernel has no filters")
    with Puppet(system_python, ring_dir, program=program) as puppet:
        puppet.do("1")
        assert "seccomp" in doctor("--pid", str(puppet.pid), ring_dir=ring_dir)[1]
    done = run([*look, *SERVER], environment(ring_dir))
    assert done.returncode == 0
    assert "docs/system-calls.md" in done.stdout.decode()
    filtered = "Seccomp:\t2" in Path("/proc/self/status").read_text()
    said = doctor("--", system_python.path, *SERVER, ring_dir=ring_dir)[1]
    assert ("seccomp" in said) == filtered


def test_no_such_process(ring_dir: Path) -> None:
    tuned, said = doctor("--pid", "4194303", ring_dir=ring_dir)
    assert not tuned
    assert "no such process" in said


def test_wrong_usage() -> None:
    for words in ([], ["--pid", "x"], ["--pid", "1", "true"], ["--nonsense"]):
        assert run([COMMAND, "doctor", *words], environment()).returncode == 2
    assert LIBRARY.exists()


@pytest.mark.parametrize(
    ("settings", "tuned", "word"),
    [
        ({"GCPRELOAD_ONLY": "*gunicorn*,*uvicorn*"}, False, "GCPRELOAD_ONLY"),
        ({"GCPRELOAD_ONLY": "*celery*,*http.server*"}, True, ""),
        ({"GCPRELOAD_EXCEPT": "*http.server*"}, False, "GCPRELOAD_EXCEPT"),
        ({"GCPRELOAD_EXCEPT": "*migrate*"}, True, ""),
    ],
)
def test_only_and_except(
    settings: dict[str, str], tuned: bool, word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    answer, said = doctor("--", system_python.path, *SERVER, ring_dir=ring_dir, **settings)
    assert answer == tuned, said
    assert word in said
