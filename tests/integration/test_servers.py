"""Every common server on every interpreter: requests are answered, and each process shows what
was done in it. The fixed part runs some pairs, --all runs every one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import venvs
from lib.rings import Process, by_pid, counted, wait_for_state
from lib.run import wait_for
from lib.server import HEAP, Server
from lib.servers import KINDS, Kind, ask, asking, fixed_part, own_thresholds
from venvs import Interpreter


class Pair(NamedTuple):
    kind: Kind
    python: Interpreter

    def __str__(self) -> str:
        return f"{self.kind} on {self.python}"


def every_pair() -> list[Pair]:
    pythons = venvs.supported_interpreters()
    return [Pair(k, p) for k in KINDS for p in pythons if not k.system_only or p.is_system]


def chosen_pairs(everything: bool) -> list[Pair]:
    pairs = every_pair()
    chosen = fixed_part(pairs)
    return [p for p in pairs if everything or (p.kind.name, str(p.python)) in chosen]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        pairs = chosen_pairs(metafunc.config.getoption("--all"))
        metafunc.parametrize("pair", pairs, ids=str)


def test_what_was_left_out(request: pytest.FixtureRequest) -> None:
    """Says it in the output, by being skipped."""
    ran = set(chosen_pairs(request.config.getoption("--all")))
    left_out = [str(pair) for pair in every_pair() if pair not in ran]
    if left_out:
        pytest.skip(
            f"{len(ran)} pairs of a server and an interpreter are the fixed part; "
            f"--all runs {len(left_out)} more: {', '.join(left_out)}"
        )


def test_the_fixed_part_has_each_twice() -> None:
    pairs, fixed = every_pair(), chosen_pairs(everything=False)
    for kind in KINDS:
        possible = {pair.python for pair in pairs if pair.kind == kind}
        assert len([p for p in fixed if p.kind == kind]) >= min(2, len(possible)), kind
    for python in venvs.supported_interpreters():
        assert len([p for p in fixed if p.python == python]) >= 2, python


def assert_ready(kind: Kind, process: Process, own: list[int], python: Interpreter) -> None:
    assert (process.alive, process.mode, process.state) == (True, "freeze", "ready")
    assert (process.reason, process.trigger) == (None, "auto")
    assert process.fired in kind.fired
    assert process.thresholds == [50000, *own[1:]]
    assert process.thresholds_before == own
    assert process.frozen_objects > (HEAP if kind.name != "http.server" else 0)
    assert process.python == ".".join(map(str, python.version))
    ours = [(part["generation"], part["collections"]) for part in process.gc
            if part["cause"] == "ready"]  # fmt: skip
    assert ours == [(2, 1)]
    assert "prefork" not in {part["cause"] for part in process.gc}


def assert_parent(kind: Kind, process: Process, own: list[int]) -> None:
    """It collected and froze before it forked, and serves nothing itself."""
    assert (process.alive, process.mode, process.state) == (True, "freeze", "parent")
    assert process.fired == "auto: fork"
    assert process.thresholds == own
    assert process.frozen_objects > (HEAP if kind.preloads else 0)
    causes = {part["cause"]: part["generation"] for part in process.gc}
    assert causes["prefork"] == 2
    assert "ready" not in causes


def assert_counts(pair: Pair, server: Server, pid: int, own: list[int], ring_dir: Path) -> None:
    """The application sees the same thresholds and counts as ps."""
    state = ask(pair.kind, server, pid, "/state")
    assert state["thresholds"] == [50000, *own[1:]]
    assert state["frozen"] > 0
    for path in ("/garbage?n=60000", "/collect?generation=1", "/collect"):
        ask(pair.kind, server, pid, path)
    stats = ask(pair.kind, server, pid, "/stats")["stats"]
    now = by_pid(ring_dir)[pid]
    assert now.counts() == counted(stats)
    assert now.events_lost == 0


def test_server(pair: Pair, ring_dir: Path) -> None:
    kind, python = pair
    why_not = kind.possible(python)
    if why_not:
        pytest.skip(f"{pair} is not available: {why_not}")
    own = own_thresholds(python)
    with kind.start(python, ring_dir) as server:
        with asking(server) as errors:
            wait_for_state(ring_dir, "ready", kind.workers or 1)
            if kind.parent:
                wait_for_state(ring_dir, "parent")
            for _ in range(5):
                server.get("/")
        assert errors == []
        processes = by_pid(ring_dir)
        serving = {pid: p for pid, p in processes.items() if p.state == "ready"}
        parents = [p for p in processes.values() if p.state != "ready"]
        assert len(serving) == (kind.workers or 1)
        if kind.workers:
            assert set(serving) <= set(server.workers())
            assert {p.ppid for p in serving.values()} == {server.pid}
        else:
            assert set(serving) == {server.pid}
        assert [p.pid for p in parents] == [server.pid] * kind.parent
        for parent in parents:
            assert_parent(kind, parent, own)
        for process in serving.values():
            assert_ready(kind, process, own, python)
        for pid in serving:
            assert_counts(pair, server, pid, own, ring_dir)
        assert server.get("/")
        assert server.terminate() in kind.ends
        assert "Traceback" not in server.output()
        assert "gcpreload[" not in server.output()
    wait_for("the end of all", lambda: not by_pid(ring_dir))
