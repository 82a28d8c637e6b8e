"""What the facts of a cell mean, coarse enough to be the same in each run; and whether that is
worse than it was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matrix_cell import HEAP, MODES, Facts
from matrix_workload import Workload

Row = dict[str, Any]  # of docs/matrix.json

NO_REASON = "not ready yet, or not a server"  # that is what "starting" says

# Garbage that the interpreter would have collected already is no harm: this much in a process.
YOUNG_KB = 6 * 1024
MORE_MEMORY = 1.1
# Collections at waits a job: in which words, from how many on.
SHARES = ((0.7, "most"), (0.03, "some"))
SAME_SHARE = 0.3  # less than that may be chance, where threads share few cores


def _reason(text: str | None) -> str:
    """Without what is to be done, and without numbers that differ each time."""
    first = (text or "").split(";")[0]
    if first == NO_REASON:
        return ""
    return re.sub(r"\d[\d.]*", "N", first).strip()


def _states(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each once: how many there are is the server's business."""
    found = set()
    for one in processes:
        state, reason = one["state"], _reason(one["reason"])
        quiet = state in ("ready", "parent") or not reason
        found.add(state if quiet else f"{state} ({reason})")
    return sorted(found)


def _all_some_none(values: Sequence[bool]) -> str:
    if not values or not any(values):
        return "none"
    return "all" if all(values) else "some"


def _more_memory(stock: Facts, facts: Facts) -> int:
    """Kilobytes above what is allowed, in a process that answers."""
    allowed = stock.private_kb * MORE_MEMORY + YOUNG_KB
    return 0 if not stock.private_kb or facts.private_kb <= allowed else (
        facts.private_kb - stock.private_kb
    )  # fmt: skip


def _one_digit(megabytes: float) -> int:
    whole = max(1, round(megabytes))
    scale = 10 ** (len(str(whole)) - 1)
    return round(whole / scale) * scale


def share_name(share: float) -> str:
    return next((name for least, name in SHARES if share >= least), "none")


def _why_not_at_waits(facts: Facts) -> str:
    """What the library itself says to it."""
    reasons = {_reason(one["reason"]) for one in facts.counted if one["reason"]}
    if reasons:
        return ", ".join(sorted(reasons))
    why, number = max(facts.refused.items(), key=lambda item: item[1], default=("", 0))
    return f"refused: {why}" if number > facts.idle else ""


def _last_line(traceback: str) -> str:
    """The exception's."""
    raised = [line for line in traceback.splitlines()[1:] if line and not line.startswith(" ")]
    return raised[0][:100] if raised else ""


def _fault(stock: Facts, facts: Facts) -> str:
    """What must never be: the first of these that is."""
    error, said = (facts.error.splitlines() or [""])[0], (facts.said or [""])[0]
    faults = (
        (bool(error), f"not measured: {error[:100]}"),
        (facts.wrong > 0, f"{facts.wrong} wrong answers"),
        (facts.lost > stock.lost, f"{facts.lost} answers lost, {stock.lost} of stock's"),
        (facts.exit != stock.exit, f"ends with {facts.exit}, stock with {stock.exit}"),
        (facts.tracebacks > 0 == stock.tracebacks, f"a traceback: {_last_line(facts.traceback)}"),
        (bool(said), f"it says: {said[:100]}"),
    )
    return next((text for is_so, text in faults if is_so), "")


def _state(cell: Row) -> str:
    """Of processes that are to serve, where nothing is wrong."""
    if cell["ready"] != "all":
        states = [state.split(" (")[0] for state in cell["answers"] if state != "ready"]
        return ", ".join(states) or "not seen"
    if cell["frozen"] != "all":
        return "ready, nothing frozen"
    if cell["mode"] != "freeze" and cell["waits"] != "most":
        why = f" ({cell['why']})" if cell["why"] else ""
        return f"works, {cell['waits']} at waits{why}"
    return "works"


def _verdict(workload: Workload, cell: Row) -> str:
    if cell["fault"]:
        return f"FAILS: {cell['fault']}"
    if cell["memory"]:
        return f"harmed: +{cell['memory']} MB"
    if not workload.serves:
        return "tuned" if cell["ready"] == "all" else "left alone"
    return _state(cell)


def cell_of(workload: Workload, stock: Facts, facts: Facts) -> Row:
    alive = [one for one in facts.counted if one["alive"]] or facts.counted
    share = facts.idle / facts.jobs if facts.jobs else 0.0
    cell: Row = {
        "mode": facts.mode,
        "answers": _states(alive),
        "others": _states([one for one in facts.others if one["alive"]]),
        "ready": _all_some_none([one["state"] == "ready" for one in alive]),
        "frozen": _all_some_none([(one["frozen_objects"] or 0) >= HEAP for one in alive]),
        "share": round(share, 1),
        "waits": share_name(share),
        "why": "" if facts.mode == "freeze" else _why_not_at_waits(facts),
        "memory": _one_digit(_more_memory(stock, facts) / 1024) if _more_memory(stock, facts)
        else 0,
        "fault": _fault(stock, facts),
    }  # fmt: skip
    return {**cell, "verdict": _verdict(workload, cell)}


def row_of(workload: Workload, python: str, version: str, cells: Sequence[Facts]) -> Row:
    """The first of the cells is stock's."""
    stock, *others = cells
    row: Row = {
        "group": workload.group,
        "name": workload.name,
        "python": python,
        "version": version,
        "exit": stock.exit,
        "error": "",
    }
    if stock.error:
        return {**row, "error": stock.error.splitlines()[0][:200], "modes": {}}
    return {**row, "modes": {one.mode: cell_of(workload, stock, one) for one in others}}


def row_without(workload: Workload, python: str, why: str) -> Row:
    """It could not be run here."""
    return {
        "group": workload.group,
        "name": workload.name,
        "python": python,
        "version": "",
        "exit": None,
        "error": why,
        "modes": {},
    }


# ---- worse or better ----


def has_fault(row: Row) -> bool:
    return any(cell["fault"] for cell in row["modes"].values())


def _rank(cell: Row) -> int:
    """0 is the worst."""
    verdict = cell["verdict"]
    if verdict.startswith("FAILS"):
        return 0
    if verdict.startswith("harmed"):
        return 1
    if verdict in ("works", "left alone", "tuned"):
        return 6
    if verdict.startswith("works, "):
        return 3 + ("none", "some", "most").index(cell["waits"])
    return 3 if verdict == "ready, nothing frozen" else 2


def _waits_alike(old: Row, new: Row) -> bool:
    """They differ by no more than two runs of the same do."""
    works = old["verdict"].startswith("works") and new["verdict"].startswith("works")
    return works and abs(old["share"] - new["share"]) < SAME_SHARE


def compare(old: Row, new: Row) -> tuple[list[str], list[str]]:
    """What is worse, and what is better, in words."""
    if new["error"] or old["error"]:
        if bool(new["error"]) == bool(old["error"]):
            return [], []
        change = [f"{old['error'] or 'it ran'} -> {new['error'] or 'it runs'}"]
        return (change, []) if new["error"] else ([], change)
    worse, better = [], []
    for mode in MODES:
        was, now = old["modes"][mode], new["modes"][mode]
        change = f"{mode}: {was['verdict']} -> {now['verdict']}"
        if _rank(now) != _rank(was) and not _waits_alike(was, now):
            (worse if _rank(now) < _rank(was) else better).append(change)
        elif "parent" in was["others"] and "parent" not in now["others"]:
            worse.append(f"{mode}: its parent was frozen before it forked, and is not")
    return worse, better
