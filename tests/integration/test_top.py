"""gcpreload top on a real terminal, key by key, against what Python says of itself."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.paths import COMMAND
from lib.puppet import Puppet
from lib.rings import command, ring_files
from lib.run import environment, run, wait_for
from lib.server import children
from lib.terminal import Terminal, terminal
from venvs import Interpreter

PROGRAM = COMMAND.with_name("gcpreload-top")
KEYS = "q quit  Enter open"
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|4[0-7]|[34]8;|9[0-7])[0-9;]*m")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="libncurses-dev is missing"),
    pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is missing"),
]


@contextlib.contextmanager
def top(
    ring_dir: Path, *words: str, columns: int = 80, rows: int = 24, **env: str
) -> Iterator[Terminal]:
    """Running, its first screen shown."""
    options = ["--dir", ring_dir, "-n", "0.2", *words]
    with terminal(ring_dir, COMMAND, "top", *options, columns=columns, rows=rows, **env) as shown:
        shown.wait_for(KEYS[: columns - 4])
        yield shown


def pids(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := re.match(r" *(\d+) ", line))]


def serve(puppet: Puppet) -> None:
    """Ready, with garbage collected, and no collection to come."""
    puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()")
    shown = puppet.shown()
    assert shown
    assert shown.state == "ready"


@pytest.fixture
def puppet(system_python: Interpreter, ring_dir: Path) -> Iterator[Puppet]:
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="shop") as one:
        serve(one)
        yield one


def test_the_list(puppet: Puppet, ring_dir: Path) -> None:
    frozen = puppet.shown().frozen_objects
    with top(ring_dir) as shown:
        row = rf"^ *{puppet.pid} ready +freeze +0 +\S+ .* {frozen} \[shop\]"
        shown.wait_for(row)
        shown.wait_for(r"every 0\.2 s  1 alive, 0 exited")
        lines = shown.lines()
        assert len(lines) == 24
        assert all(len(line) <= 80 for line in lines)
        # What it takes just now.
        for _ in range(3):
            puppet.do("gc.collect()")
        shown.wait_for(rf"^ *{puppet.pid} .* \[shop\]")


def test_the_share_of_time_now(puppet: Puppet, ring_dir: Path) -> None:
    """It follows what the process does, and stops with it."""

    def now(lines: list[str]) -> str | None:
        # Not "ready": that it unfreezes makes it stand back, sooner or later.
        found = [re.match(rf" *{puppet.pid} \S+ +freeze +(\S+)", line) for line in lines]
        return next((match[1] for match in found if match), None)

    puppet.wait_for("standing-back", "gc.unfreeze()", "gc.collect()")
    with top(ring_dir) as shown:
        shown.wait("no collection", lambda lines: now(lines) == "0")

        def busy(lines: list[str]) -> bool:
            puppet.do("gc.unfreeze()", "gc.collect()")
            value = now(lines)
            return value not in (None, "-", "0") and float(value.replace("<", "")) > 1

        shown.wait("collections", busy)
        shown.wait("no collection again", lambda lines: now(lines) == "0")


def generations(lines: list[str]) -> list[tuple[int, int]]:
    """Collections and what they collected, of each generation."""
    number = r" +[\d.<k-]+"
    row = re.compile(rf"^ +[012]{number}{number} +(\d+) +(\d+)")
    return [(int(found[1]), int(found[2])) for line in lines if (found := row.match(line))]


def test_one_process(puppet: Puppet, ring_dir: Path) -> None:
    with top(ring_dir) as shown:
        shown.wait_for(rf"^ *{puppet.pid} ")
        shown.keys("Enter")
        shown.wait_for(rf"^{puppet.pid}  shop  .*puppet\.py")
        shown.wait_for(r"^Python \d.*, mode freeze, \d+ objects frozen, thresholds 50000 ")
        shown.wait_for(r"^ +\|\d")  # the histogram's axis
        assert re.search("[▁▂▃▄▅▆▇█]", "\n".join(shown.lines()))
        # A collection that is made now.
        puppet.do("Node()", "collected = gc.collect(1)")
        collected = puppet.do("collected")
        shown.wait_for(rf"^\d\d:\d\d:\d\d\.\d{{3}}    1  explicit +\S+ \S+ +{collected}  tuned")
        stats = puppet.do("gc.get_stats()")
        expected = [(one["collections"], one["collected"]) for one in stats]
        shown.wait("Python's own counts", lambda lines: generations(lines) == expected)
        # The last collections go on below.
        assert not any("startup" in line for line in shown.lines())
        shown.keys("End")
        shown.wait_for(r"startup$")
        shown.keys("Home")
        shown.wait_for(rf"^{puppet.pid}  shop")
        shown.keys("Escape")
        shown.wait_for("^ *PID STATE")
        shown.keys("Enter")
        shown.wait_for(r"^Last collections")
        shown.keys("q")
        shown.wait_for(KEYS)


def test_sorting_and_moving(puppet: Puppet, system_python: Interpreter, ring_dir: Path) -> None:
    """Two processes; the second one has not frozen anything, and collects more."""
    settings = {"GCPRELOAD_MODE": "observe", "GCPRELOAD_SERVICE": "any"}
    with Puppet(system_python, ring_dir, **settings) as other:
        other.do("one = listen()", "arm(one)")
        other.wait_for("observing")
        other.do("keep(100000)", "for _ in range(30): gc.collect()", "gc.disable()")
        by_pid = sorted([puppet.pid, other.pid])
        with top(ring_dir) as shown:
            orders = {}
            for _ in range(7):
                title = shown.wait_for(r"\*([A-Z]\S+)|([A-Z]+)\*$")
                name = title[1] or title[2]
                orders[name] = shown.wait(
                    "both", lambda ls: found if len(found := pids(ls)) == 2 else None
                )
                shown.keys("s")
                shown.wait(
                    f"not {name}",
                    lambda lines, name=name: not any(
                        f"*{name}" in ln or f"{name}*" in ln for ln in lines
                    ),
                )
            assert set(orders) == {"NOW", "ALL", "MAX", "G2", "FROZEN", "PID", "COMMAND"}
            assert orders["PID"] == by_pid
            assert orders["FROZEN"] == [puppet.pid, other.pid]
            assert orders["G2"] == [other.pid, puppet.pid]
            assert orders["COMMAND"] == [other.pid, puppet.pid]  # [any], [shop]
            # By pid, the one below, on its own screen.
            shown.keys("<", "<")
            shown.wait_for(r"\*PID")
            shown.keys("Home", "Down", "Enter")
            shown.wait_for(rf"^{by_pid[1]}  ")
            shown.keys("Escape")
            shown.wait_for(KEYS)
            shown.keys("k", "Enter")
            shown.wait_for(rf"^{by_pid[0]}  ")


def test_help_pause_and_pace(puppet: Puppet, ring_dir: Path) -> None:
    with top(ring_dir) as shown:
        shown.keys("h")
        shown.wait_for(r"^Enter +show one process")
        shown.keys("?")
        shown.wait_for(KEYS)
        shown.type("+")
        shown.wait_for(r"every 0\.25 s")
        shown.type("-")
        shown.wait_for(r"every 0\.1 s")
        shown.keys("p")
        shown.wait_for(r"\d  paused  1 alive")
        before = shown.lines()
        puppet.do("gc.collect()")
        shown.keys("Down")
        assert shown.lines() == before
        shown.keys("p")
        shown.wait_for(r"every 0\.1 s")


def test_resizing(puppet: Puppet, ring_dir: Path) -> None:
    with top(ring_dir) as shown:
        shown.keys("p")  # no look draws it anew
        shown.wait_for("paused")
        for columns, rows, title in (
            (40, 10, r"^ *PID STATE +\*NOW  MAX COMMAND$"),
            (120, 40, r"^ *PID STATE +MODE +\*NOW +ALL +MAX +G0 +G1 +G2 +FROZEN COMMAND$"),
            (20, 5, r"^ *PID \*NOW COMMAND$"),
            (80, 24, r"^ *PID STATE +MODE +\*NOW +ALL +MAX +G0 +G1 +G2 +FROZEN COMMAND$"),
        ):
            shown.resize(columns, rows)
            shown.wait_for(title)

            def filled(lines: list[str], rows: int = rows) -> bool:
                return len(lines) == rows and lines[-1].startswith("q quit")

            lines = shown.wait("a full screen", lambda ls: ls if filled(ls) else None)
            assert all(len(line) <= columns for line in lines)
            assert puppet.pid in pids(lines)
        # Too small for anything is no reason to end.
        shown.resize(1, 1)
        shown.keys("Enter", "Escape", "h", "q")
        shown.resize(80, 24)
        shown.wait_for(KEYS)


@pytest.mark.parametrize("how", ["q", "C-c", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_given_back(how: str, ring_dir: Path) -> None:
    with top(ring_dir) as shown:
        if how.startswith("SIG"):
            shell = int(shown.tmux("list-panes", "-F", "#{pane_pid}"))
            (pid,) = children(shell)
            os.kill(pid, getattr(signal, how))
        else:
            shown.keys(how)
        shown.wait_for("^status 0$")
        assert not any("gcpreload top" in line for line in shown.lines())
        # It shows what is typed, and lines end where they should.
        assert shown.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}") == "0 1\n"
        shown.keys("echo $((6 * 7)) two", "Enter")
        shown.wait_for(r"^[$#] echo \$\(\(6 \* 7\)\) two$")
        shown.wait_for("^42 two$")


def test_a_process_that_ends(system_python: Interpreter, ring_dir: Path) -> None:
    with top(ring_dir) as shown:
        shown.wait_for("no measurements;")
        with Puppet(system_python, ring_dir) as puppet:
            serve(puppet)
            shown.wait_for(rf"^ *{puppet.pid} ready ")
        shown.wait_for(rf"^ *{puppet.pid} exited ")
        shown.wait_for("0 alive, 1 exited")
        shown.keys("Enter")
        shown.wait_for("^exited")
        shown.wait_for(r" 2  explicit ")
        assert command("clean", "--dir", ring_dir).returncode == 0
        shown.wait_for("the measurements were removed; these are the last ones")
        shown.keys("q")
        shown.wait_for("no measurements;")


def test_ended_ones_can_be_hidden(
    puppet: Puppet, system_python: Interpreter, ring_dir: Path
) -> None:
    with Puppet(system_python, ring_dir) as dead:
        serve(dead)
    with top(ring_dir) as shown:
        assert shown.wait("both", lambda ls: pids(ls) if len(pids(ls)) == 2 else None) == [
            puppet.pid,
            dead.pid,
        ]
        shown.keys("e")
        shown.wait_for(r"1 exited \(hidden\)")
        assert pids(shown.lines()) == [puppet.pid]


def test_once_in_a_pipe(puppet: Puppet, ring_dir: Path) -> None:
    """The list of the screen, by plain output."""
    done = command("top", "-1", "-n", "0.2", "--dir", ring_dir)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    _, titles, *rows = done.stdout.decode().splitlines()
    with top(ring_dir, columns=200) as shown:
        shown.wait_for(rf"^ *{puppet.pid} ready +freeze +0 ")
        screen = shown.lines()

    def without_shares(line: str) -> list[str]:
        words = line.split()
        return words[:3] + words[5:]  # ALL goes down while nothing is collected

    assert titles == screen[2]
    assert [without_shares(row) for row in rows] == [without_shares(line) for line in screen[3:4]]
    first = command("top", "--once", "--dir", ring_dir).stdout.decode().splitlines()
    assert re.match(rf" *{puppet.pid} ready +freeze +- ", first[2])  # NOW needs a second look


def test_once_with_nothing_to_read(ring_dir: Path) -> None:
    done = command("top", "-1", "--dir", ring_dir)
    assert done.returncode == 0
    assert b"no measurements;" in done.stderr
    done = command("top", "-1", "--dir", ring_dir / "nowhere")
    assert b"nowhere: cannot be opened: No such file" in done.stderr


def test_a_ring_that_cannot_be_read(puppet: Puppet, ring_dir: Path) -> None:
    (ring_dir / ring_files(ring_dir)[0].parent / "1.2.0123456789abcdef").write_bytes(b"nonsense")
    with top(ring_dir, columns=120) as shown:
        shown.wait_for(r"^ +- unreadable .* 1\.2\.0123456789abcdef: not a ring")
        shown.wait_for(rf"^ *{puppet.pid} ready ")
        shown.keys("End", "Enter")
        shown.wait_for(r"1\.2\.0123456789abcdef: cannot be read: not a ring")


@pytest.mark.parametrize("words", [["-n", "0"], ["-n", "soon"], ["--colour"], ["7"]])
def test_wrong_words(words: list[str]) -> None:
    done = command("top", *words)
    assert done.returncode == 2
    assert b"see: gcpreload top --help" in done.stderr


def test_where_there_is_no_terminal(ring_dir: Path) -> None:
    done = command("top", "--dir", ring_dir)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"not a terminal; use -1 to print once" in done.stderr
    with terminal(ring_dir, "env", "TERM=nonsense", COMMAND, "top", "--dir", ring_dir) as shown:
        shown.wait_for("TERM=nonsense: unknown or unsupported terminal")
        shown.wait_for("^status 1$")


HOSTILE = {
    "escapes": "a\x1b[31m\x1b]0;title\x07b\x1b[2J",
    "lines": "one\ntwo\rthree\tfour",
    "no UTF-8": b"\xff\xfe\x9b31m".decode(errors="surrogateescape"),
    "wide": "漢字漢字漢字漢字漢字",
    "turned around": "abc\u202edef",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names(name: str, system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir, GCPRELOAD_SERVICE=name) as puppet, \
            Puppet(system_python, ring_dir, GCPRELOAD_SERVICE="ordinary") as other:  # fmt: skip
        serve(puppet)
        serve(other)
        raw = command("top", "-1", "--dir", ring_dir).stdout
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", raw)
        raw.decode()
        with top(ring_dir) as shown:
            shown.wait(
                "both where they should be",
                lambda ls: {p: i for i, p in enumerate(pids(ls))}
                and set(pids(ls)) == {puppet.pid, other.pid},
            )
            lines = shown.lines()
            # Columns are where they are without it, and nothing else has been moved.
            (at,) = {line.index(" ready") for line in lines if " ready" in line}
            assert at == 7
            assert {line.index("[") for line in lines if "[" in line} == {65}
            assert lines[0].startswith("gcpreload top")
            assert lines[-1].startswith(KEYS)
            assert shown.tmux("display-message", "-p", "#{pane_title}") != "title\n"
            shown.keys("Enter")
            shown.wait_for("^Last collections")
            assert shown.lines()[-1].startswith("Esc back")


@pytest.mark.parametrize(
    ("words", "env", "coloured"),
    [
        ([], {}, True),
        (["--no-color"], {}, False),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NO_COLOR": ""}, True),
    ],
)
def test_colours_are_a_choice(
    words: list[str], env: dict[str, str], coloured: bool, puppet: Puppet, ring_dir: Path
) -> None:
    with top(ring_dir, *words, **env) as shown:
        shown.wait_for(rf"^ *{puppet.pid} ")
        text = "\n".join(shown.lines("-e"))
        assert bool(COLOUR.search(text)) == coloured
        # What is selected is seen all the same.
        assert re.search(rf"\x1b\[(?:[0-9;]*;)?7m(?:\x1b\[[0-9;]*m)* *{puppet.pid} ready", text)


def test_without_colours_and_utf_8(puppet: Puppet, ring_dir: Path) -> None:
    """A terminal that can do little, and a locale that knows ASCII only."""
    with top(ring_dir, LC_ALL="C") as shown:
        shown.keys("Enter")
        shown.wait_for(r"^gen 2  +[.:=#]")
        assert "\n".join(shown.lines()).isascii()
    words = ["env", "TERM=vt100", COMMAND, "top", "--dir", ring_dir]
    with terminal(ring_dir, *words) as shown:
        shown.wait_for(rf"^ *{puppet.pid} ready ")
        assert not COLOUR.search("\n".join(shown.lines("-e")))
        shown.keys("q")
        shown.wait_for("^status 0$")


def test_many_processes(puppet: Puppet, ring_dir: Path) -> None:
    """A thousand, with few descriptors and little memory."""
    (ring,) = ring_files(ring_dir)
    data = ring.read_bytes()
    for pid in range(1, 1000):
        (ring.parent / f"{pid}.{pid}.{pid:016x}").write_bytes(data)
    limited = ["sh", "-c", 'ulimit -n 20; ulimit -d 65536; exec "$@"', "sh"]
    words = [*limited, COMMAND, "top", "-1", "-n", "0.1", "--dir", ring_dir]
    done = run(words, environment())
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 1002
    with top(ring_dir) as shown:
        shown.wait_for("1 alive, 999 exited")
        shown.keys("End")
        shown.wait("the last row", lambda ls: len(pids(ls)) == 20)
        shown.keys("q")
        shown.wait_for("^status 0$")
    wait_for("nothing left", lambda: puppet.shown())
