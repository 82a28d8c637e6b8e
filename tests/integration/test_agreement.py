"""Every setting, with values that are allowed, that are not, and at the edge, in each way in which
it can be given: what `gcpreload doctor` says, and what a process under the library does then."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lib.paths import COMMAND, DEADLINE
from lib.rings import Process, ps
from lib.run import environment, run
from lib.settings import SETTINGS, Setting, is_true, number
from venvs import Interpreter

# A name that doctor knows as a server's, and a server as far as the library can see.
NAME = "gunicorn"
SERVER = """
import gc, json, select, socket, sys
if "own" in sys.argv:
    gc.set_threshold(1000, 10, 10)
keep = [[] for _ in range(5000)]
early = gc.get_freeze_count()
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen()
select.select([one], [], [], 0)
print(json.dumps({
    "callbacks": len(gc.callbacks),
    "early": early > 1000,
    "frozen": gc.get_freeze_count() > 1000,
    "thresholds": gc.get_threshold(),
}), flush=True)
sys.stdin.read()
"""

COMPLAINT = re.compile(
    r"must be .*; (using '|nothing is tuned)|counts in the environment only|are ignored: "
)
PREFIX = re.compile(r"^gcpreload\[\d+\]: ")


def of_numbers(low: float, high: float) -> list[str]:
    edges = [low, high, high + 1, low - 1]
    return [*map(str, edges), "", "x", f"{low}x", f"+{high}", f"0{high}", "1e3", " "]


NUMBERS = {
    "seconds": ["1000000.5", "10m", "1H30m", "90s", "1m1h", "1w"],
    "milliseconds": ["500us", "10MS", "1s", "1m", "1000001ms", "1s1s"],
    "ratio": ["10%", "50%", "10001%", "%", "1/2", "1/0", "2/", "/", "0.000001", "1.000001"],
}


def values(setting: Setting, tmp_path: Path) -> list[str]:
    """By its type."""
    if setting.type == "choice":
        words = setting.words()
        return [*words, "", words[0].upper(), words[0] + ",", "or", words[0] + "x"]
    if setting.type in NUMBERS:
        plain = ["0", "0.5", ".5", "1.", ".", "1.5", "-1"]
        return [*of_numbers(*setting.bounds()), *plain, *NUMBERS[setting.type]]
    if setting.type == "thresholds":
        low, high = setting.bounds()
        one = [f"{edge},keep,{low}" for edge in (low, high, high + 1, low - 1)]
        return [*one, "keep,keep,keep", "", "keep", "1,2", "1,2,3,", "1,2,3,4", "keeps,1,1"]
    if setting.type == "group":
        return ["", str(os.getgid()), "4294967295", "-1", "x", "0x1"]
    return {
        "index": ["", "0", "7", "999999", "1000000", "-1", "web-3"],
        "boolean": [
            "0",
            "1",
            "true",
            "yes",
            "on",
            "false",
            "no",
            "off",
            "2",
            "",
            "TRUE",
            "False",
            "01",
        ],
        "globs": ["", ",", "*", "*gunicorn*", "gunicorn", "*x-y-z*", "*x-y-z*,*gunicorn*", "*["],
        "text": ["", "shop", "a=b, c"],
        "path": ["", str(tmp_path / "some"), "relative", "./x"],
        "directory": [str(tmp_path), "/proc", "relative", ""],
        "trigger": [
            *("auto", "none", "auto+0", "auto,fork", "fork,auto", "none,auto", "", "auto,", ","),
            *("Auto", "NONE", "auto+0s", "auto+1w"),
            *("auto+", "auto+x", "signal:NOSUCH", "import:", "delay:x", "accepts:0", "foo"),
            ",".join(["auto"] * 8),
            ",".join(["auto"] * 9),
        ],
    }[setting.type]


@dataclass
class Given:
    """A setting, for the process and for doctor."""

    env: dict[str, str]
    words: list[str] = field(default_factory=list)


def give(setting: Setting, value: str, way: str, ring_dir: Path, tmp_path: Path) -> Given:
    env = environment(ring_dir)
    another = "GCPRELOAD_BUDGET_MS" if setting.name == "SLOW_MS" else "GCPRELOAD_SLOW_MS"
    env[another] = "never"  # so that there is something to say
    if setting.name == "LOG_FILE":
        env["GCPRELOAD_LOG"] = "info"
    if way != "option":
        env.pop(setting.variable, None)
    if way == "environment":
        env[setting.variable] = value
    elif way == "file":
        env["GCPRELOAD_CONF"] = str(tmp_path / "conf")
        (tmp_path / "conf").write_text(f"\n{setting.name.lower()} = {value}\n")
    else:
        del env["LD_PRELOAD"]
        return Given(env, [str(COMMAND), "run", f"{setting.option}={value}", "--"])
    return Given(env)


@dataclass
class Outcome:
    said: list[str]
    logged: bool
    """In a file."""
    seen: dict[str, Any]
    ring: Process | None


@contextmanager
def started(command: list[str], env: dict[str, str], errors: Path) -> Iterator[subprocess.Popen]:
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(DEADLINE)


def directory_of(doctor: dict[str, Any], ring_dir: Path) -> str:
    return doctor["settings"]["DIR"]["value"] if doctor["settings"] else str(ring_dir)


def asked(given: Given, command: list[str]) -> dict[str, Any]:
    done = run([COMMAND, "doctor", "--json", "--", *given.words, *command], given.env)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def both(
    given: Given, command: list[str], ring_dir: Path, tmp_path: Path
) -> tuple[dict[str, Any], Outcome | str]:
    """What doctor says, and what comes of it; a text where `gcpreload run` refuses."""
    errors = tmp_path / "errors"
    with started([*given.words, *command], given.env, errors) as process:
        doctor = asked(given, command)
        assert select.select([process.stdout], [], [], DEADLINE)[0]
        line = process.stdout.readline()
        if not line:
            process.wait(DEADLINE)
            assert process.returncode == 2
            return doctor, errors.read_text().strip()
        rings = [p for p in ps(Path(directory_of(doctor, ring_dir))) if p.pid == process.pid]
    log, logged = tmp_path / "some", ""
    if log.exists():
        logged = log.read_text()
        log.unlink()
        assert errors.read_text() == ""
    said = [sentence(one) for one in (logged or errors.read_text()).splitlines()]
    return doctor, Outcome(said, bool(logged), json.loads(line), rings[0] if rings else None)


def sentence(line: str) -> str:
    """Of a line of the log, in either of its formats."""
    return json.loads(line)["message"] if line[0] == "{" else PREFIX.sub("", line)


def complaints(texts: list[str]) -> list[str]:
    return sorted(text for text in texts if COMPLAINT.search(text))


def check_words(doctor: dict[str, Any], outcome: Outcome) -> None:
    """What is said of a bad setting is one text, and none is left out."""
    texts = [one["text"] for one in doctor["findings"]]
    notes = [one["text"] for one in doctor["findings"] if one["level"] == "note"]
    silent = not doctor["settings"] or doctor["settings"]["LOG"]["value"].lower() in (
        "none",
        "error",
    )
    excluded = any("the command line; " in one["text"] for one in doctor["findings"])
    if not silent and not excluded:
        assert complaints(notes) == complaints(outcome.said) != []
    elif doctor["settings"]:
        assert outcome.said == []
    else:
        assert bool(outcome.said) == any("neither yes nor no" in text for text in texts)


def check_decision(doctor: dict[str, Any], outcome: Outcome) -> None:
    decision, ring, seen = doctor["decision"], outcome.ring, outcome.seen
    value = {name: one["value"] for name, one in (doctor["settings"] or {}).items()}
    if decision == "tuned" and number(value["BASELINE"]) > 0:
        assert ring.state == "baseline"
        assert not seen["frozen"]
    elif decision == "tuned":
        assert seen["frozen"]
        assert not ring or ring.state == "ready"
    elif decision == "observed":
        assert ring.state == "observing"
        assert not seen["frozen"]
    else:
        assert decision == "none"
        assert not seen["frozen"]
        assert not ring


def check_ring(value: dict[str, str], decision: str, ring: Process) -> None:
    share, sample = number(value["SAMPLE"]), "none"
    if share < 1 and value["MODE"].lower() in ("freeze", "idle", "concurrent"):
        sample = "untuned" if decision == "observed" else "tuned"
    assert ring.sample == sample
    assert ring.mode == ("observe" if sample == "untuned" else value["MODE"].lower())
    assert ring.trigger == value["TRIGGER"]
    given = ring.service["name"] if ring.service["from"] == "setting" else ""
    assert given == value["SERVICE"]
    if value["GROUP"]:
        assert Path(ring.file).stat().st_gid == int(value["GROUP"])
    assert ring.file.startswith(value["DIR"])


def check_effects(doctor: dict[str, Any], outcome: Outcome) -> None:
    """Where doctor's values are seen in the process."""
    value = {name: one["value"] for name, one in doctor["settings"].items()}
    if outcome.ring:
        check_ring(value, doctor["decision"], outcome.ring)
    tuned = doctor["decision"] == "tuned" and number(value["BASELINE"]) == 0
    if tuned and value["MODE"].lower() == "freeze":
        for i, wanted in enumerate(value["THRESHOLDS"].split(",")):
            if wanted != "keep" and (i or value["YOUNG_MS"].strip("0") == ""):
                assert outcome.seen["thresholds"][i] == int(wanted)
        early = not is_true(value["STARTUP_GC"])
        assert outcome.seen["early"] == early
    assert outcome.logged == bool(value["LOG_FILE"])
    assert any("ready (" in text for text in outcome.said) == (
        tuned and value["LOG"].lower() in ("info", "debug")
    )


def compare(doctor: dict[str, Any], outcome: Outcome | str) -> None:
    if isinstance(outcome, str):
        texts = [one["text"] for one in doctor["findings"] if one["level"] == "no"]
        assert [f"gcpreload: {text.removeprefix('gcpreload ')}" for text in texts] == [outcome]
        return
    check_words(doctor, outcome)
    if doctor["decision"] != "depends":
        check_decision(doctor, outcome)
    if doctor["settings"] and doctor["decision"] in ("tuned", "observed"):
        check_effects(doctor, outcome)


@pytest.mark.parametrize("way", ["environment", "file", "option"])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_doctor_and_the_library_agree(
    setting: Setting, way: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    server = tmp_path / NAME
    server.write_text(SERVER)
    for value in values(setting, ring_dir):
        given = give(setting, value, way, ring_dir, tmp_path)
        doctor, outcome = both(given, [system_python.path, str(server)], ring_dir, ring_dir)
        try:
            compare(doctor, outcome)
        except AssertionError as error:
            said = json.dumps(doctor, indent=1)
            raise AssertionError(
                f"{setting.name}={value!r}, {way}: {error}\n{said}\n{outcome}"
            ) from error


@pytest.mark.parametrize("value", ["0", "1", "yes", "maybe"])
def test_force(value: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Only an application that tunes its own collector shows it."""
    server = tmp_path / NAME
    server.write_text(SERVER)
    given = Given(environment(ring_dir, GCPRELOAD_FORCE=value))
    command = [system_python.path, str(server), "own"]
    doctor, outcome = both(given, command, ring_dir, tmp_path)
    assert isinstance(outcome, Outcome)
    forced = is_true(doctor["settings"]["FORCE"]["value"])
    assert outcome.ring.state == ("ready" if forced else "standing-back")
