"""gcpreload trace: what Perfetto opens, of real processes."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from lib.paths import APPS, COMMAND, DEADLINE
from lib.puppet import Puppet
from lib.rings import command
from lib.run import environment, wait_for
from venvs import Interpreter

Events = list[dict[str, Any]]


class Trace:
    """gcpreload trace, until the block ends; then what it wrote."""

    def __init__(self, ring_dir: Path, into: Path, *words: str) -> None:
        self.command = [COMMAND, "trace", "-o", into, "--dir", ring_dir, *words]
        self.into = into

    def __enter__(self) -> Trace:
        self.process = subprocess.Popen(self.command, env=environment(), stderr=subprocess.PIPE)
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGINT)
        _, self.said = self.process.communicate(timeout=DEADLINE)

    @property
    def events(self) -> Events:
        assert self.process.returncode == 0
        return json.loads(self.into.read_text())


def follows(trace: Trace, pid: int) -> None:
    """It has the ring open: what happens from now on is in the trace."""

    def look() -> bool:
        links = Path(f"/proc/{trace.process.pid}/fd").iterdir()
        return any(f"/{pid}." in str(link.readlink()) for link in links)

    wait_for("the ring opened", look)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "trace.json"


def slices(events: Events) -> Events:
    return [event for event in events if event["ph"] == "X"]


def test_every_collection_is_a_slice(python: Interpreter, ring_dir: Path, into: Path) -> None:
    with Puppet(python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)")
        with Trace(ring_dir, into) as trace:
            follows(trace, puppet.pid)
            puppet.do("garbage(7)", "gc.collect()", "gc.collect(1)", "gc.collect(0)")
            collected = puppet.do("[garbage(100), gc.collect()][1]")
        found = slices(trace.events)
        assert [(e["tid"], e["name"]) for e in found] == [
            (generation, "explicit") for generation in (2, 1, 0, 2)
        ]
        assert {event["pid"] for event in found} == {puppet.pid}
        assert all(event["dur"] > 0 for event in found)
        ends = [event["ts"] + event["dur"] for event in found]
        assert all(end <= event["ts"] for end, event in zip(ends, found[1:]))
        assert found[-1]["args"]["collected"] == collected
        assert found[-1]["args"]["period"] == "tuned"
        assert b"4 collections of 1 processes" in trace.said


def test_tracks_have_names(system_python: Interpreter, ring_dir: Path, into: Path) -> None:
    """Whatever a command line holds."""
    hostile = 'a"b\\c\n\x1b[31m\udcff</script>'
    program = [system_python.path, APPS / "puppet.py", hostile]
    with Puppet(system_python, ring_dir, program=program) as puppet:
        puppet.do("one = listen()", "arm(one)")
        with Trace(ring_dir, into, str(puppet.pid)) as trace:
            follows(trace, puppet.pid)
        names = {
            (event["name"], event["tid"]): event["args"]["name"]
            for event in trace.events
            if event["ph"] == "M"
        }
        assert names["thread_name", 2] == "generation 2"
        shown = hostile.encode(errors="surrogateescape").decode(errors="replace")
        assert shown in names["process_name", 0]


def test_lost_events_are_shown(system_python: Interpreter, ring_dir: Path, into: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)")
        with Trace(ring_dir, into) as trace:
            follows(trace, puppet.pid)
            trace.process.send_signal(signal.SIGSTOP)
            puppet.do("for _ in range(5000): gc.collect(0)")
            trace.process.send_signal(signal.SIGCONT)
            puppet.do("gc.collect()")
        lost = [event["args"]["lost"] for event in trace.events if event["name"] == "events lost"]
        assert sum(lost) > 0
        assert sum(lost) + len(slices(trace.events)) == 5001


def test_it_begins_with_what_was(system_python: Interpreter, ring_dir: Path, into: Path) -> None:
    def found(*words: str) -> Events:
        done = command("trace", "-o", "-", "--for", "0.1", "--dir", ring_dir, *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("one = listen()", "arm(one)", "for _ in range(7): gc.collect(1)")
        pid = str(puppet.pid)
        assert slices(found(pid)) == []
        for words in (["--last"], ["--last=100"], ["--last=1h"], ["--last=30m"]):
            events = slices(found(*words, pid))
            assert [e["tid"] for e in events if e["name"] == "explicit"] == [1] * 7, words
        assert len(slices(found("--last=3", pid))) == 3
        # What came longer ago than that is left out.
        newest = max(event["ts"] + event["dur"] for event in slices(found("--last", pid)))
        wait_for("a tenth of a second", lambda: monotonic() * 1e6 - newest > 1e5)
        assert slices(found("--last=0.1s", pid)) == []
        # And goes on.
        with Trace(ring_dir, into, "--last=2") as trace:
            follows(trace, puppet.pid)
            puppet.do("gc.collect(0)")
        assert [event["tid"] for event in slices(trace.events)] == [1, 1, 0]
        # What was written over before it began was not lost by it.
        puppet.do("for _ in range(5000): gc.collect(0)")
        events = found("--last", pid)
        assert len(slices(events)) == 2048
        assert not [event for event in events if event["name"] == "events lost"]


def test_it_ends_by_itself_and_writes_to_a_pipe(ring_dir: Path) -> None:
    done = command("trace", "-o", "-", "--for", "0.1", "--dir", ring_dir)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], b"-o FILE"),
        (["-o", "/nowhere/trace"], b"/nowhere/trace: No such file"),
        (["-o", "-", "--for", "x"], b"--for: x: not a number"),
        (["-o", "-", "0"], b"0: not a process ID"),
        (["-o", "-", "--last=x"], b"--last=x: neither a number"),
        (["-o", "-", "--last=0"], b"--last=0: neither a number"),
        (["-o", "-", "--last", "10m"], b"10m: not a process ID; write --last=10m"),
    ],
)
def test_wrong_usage(words: list[str], said: bytes) -> None:
    done = command("trace", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
