"""GCPRELOAD_SLOW_CENSUS: which types a slow full collection went through."""

from __future__ import annotations

import json
import re
from typing import Any

from lib.run import environment, run
from venvs import Interpreter

PROGRAM = """
import gc


class Node:
    def __init__(self):
        self.me = self


class Meta(type):
    @property
    def __module__(self):
        print("called")

    def __getattribute__(self, name):
        print("called")


class Odd(metaclass=Meta):
    pass


lists = [[] for _ in range(100000)]
nodes = [Node() for _ in range(30000)]
odds = [Odd() for _ in range(20000)]
{before}
try:
    raise KeyError("kept")
except KeyError as error:
    gc.collect({generation})
    assert error.args == ("kept",)
"""


def census(
    python: Interpreter, before: str = "", generation: int = 2, **settings: str
) -> list[dict[str, Any]]:
    """The lines after the slow collection that the program asks for."""
    env = environment(
        "/dev/shm",
        GCPRELOAD_RING="off",
        GCPRELOAD_LOG_FORMAT="json",
        GCPRELOAD_SLOW_MS="1",
        **{"GCPRELOAD_SLOW_CENSUS": "1", **settings},
    )
    program = PROGRAM.format(before=before, generation=generation)
    done = run([python.path, "-c", program], env)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    (at,) = [i for i, line in enumerate(lines) if line.get("cause") == "explicit"]
    after = lines[at + 1 : at + 2]
    return [line for line in after if "census" in line["message"].lower()]


def test_the_most_frequent_types(python: Interpreter) -> None:
    found = census(python)
    if python.minor < (3, 8):
        assert found == []
        return
    (line,) = found
    types = dict(one.rsplit(" ", 1) for one in line["census_types"].split(", "))
    assert len(types) <= 10
    told = re.fullmatch(
        r"census of generation 2 after it: (the first )?(\d+) objects(, then its time was over)?: "
        r"(.*); others (\d+)",
        line["message"],
    )
    assert told
    assert (told[1] is None) == (told[3] is None) == line["census_whole"]
    assert told[4] == line["census_types"]
    assert int(told[2]) == line["census_objects"]
    assert sum(map(int, types.values())) + int(told[5]) == line["census_objects"]
    if line["census_whole"]:
        assert 100000 <= int(types["list"]) < 101000
        assert types["__main__.Node"] == "30000"
        assert types["Odd"] == "20000"
    else:
        assert next(iter(types)) == "list"


def test_a_young_collection_has_none(system_python: Interpreter) -> None:
    assert (
        census(
            system_python, "gc.collect(0); gc.disable(); more = [[] for _ in range(1000000)]", 0
        )
        == []
    )


def test_only_where_it_is_asked_for(system_python: Interpreter) -> None:
    assert census(system_python, GCPRELOAD_SLOW_CENSUS="0") == []


def test_many_types(system_python: Interpreter) -> None:
    """More than are told apart."""
    more = "more = [type('T%d' % n, (), {})() for n in range(3000)]"
    (line,) = census(system_python, more)
    assert line["census_types"].startswith(("list 10", "__main__.Node", "list "))
    assert line["census_objects"] > 3000
