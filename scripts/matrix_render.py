"""docs/matrix.md, of docs/matrix.json."""

from __future__ import annotations

from collections.abc import Sequence

from matrix_cell import FINDS_HOME, HEAP, JOBS, MODES
from matrix_queues import MISSING
from matrix_verdict import YOUNG_KB, Row

HEAD = f"""\
# Matrix: what was run, and what happened in it

Real packages, as people start them, each on stock Python and in the modes `freeze`, `idle` and
`concurrent`, all with `GCPRELOAD_TRIGGER=auto`. [Servers](servers.md) has the rules in short.

    ./scripts/matrix                      # the fixed part; a cell that is worse than here fails
    ./scripts/matrix --only celery        # rows by name; --list shows them all
    ./scripts/matrix --all --write        # everything, and writes this page

A run that is interrupted goes on where it was. This page is made of `matrix.json` beside it; the
exact figures of each cell are below `build/matrix`.

Each program makes {2 * HEAP:,} objects at its start. Each request, task or message makes 5 500
objects of garbage in cycles, so that a collection is due at the next wait. Its answer says which
one it was, and which process did it. {JOBS} are counted, one after the other, 10 ms apart, when
the processes are ready; where no listener is waited on, after {FINDS_HOME:.0f} s more of such work
at most. Limits that depend on the machine's speed are taken off (`GCPRELOAD_YOUNG_MS=0`,
`GCPRELOAD_BUDGET_MS=60000`).

- **freeze, idle, concurrent**:
  *works*: every process that answers is `ready`, what the program made at its start is frozen,
  and (idle, concurrent) a collection ran at most of the waits. *some*, *none at waits*: the
  interpreter's own collections, or in mode `concurrent` its short ones, do the rest.
  *starting*: nothing was done, and the program runs as without the library.
  *harmed*: a process that answers has more private memory than 1.1 times what it has on stock
  Python in the same run, and {YOUNG_KB // 1024} MB. *left alone*: a job and its children, of which
  nothing is expected.
- **processes**: states of those that answer, then of the others, with the reason.
- **frozen**: whether all that answer hold the frozen heap, made there or before the fork.
- **a job**: collections at waits for each answer, in modes idle / concurrent.
- **answers**: whether any was lost or wrong that stock's were not.
- **memory**: private memory of a process that answers.
- **exit**: the status after SIGTERM. Stock's is the same, or the cell fails. *does not end*: in 20
  seconds, nor on stock Python.

Why a cell does not say *works*, and what happens instead:

- *starting* where each process lives for a few jobs only (Celery's `--max-tasks-per-child`, rq's
  process for each job): it ends before half a minute of work has shown that it is ready. Celery's
  master freezes the heap that they share before it forks (*parent*); with rq,
  `GCPRELOAD_TRIGGER=fork` does it.
- *its waits are not known*: it waits in code that is not the interpreter's (granian's tokio, gRPC,
  ZeroMQ, Apache), where the GIL may not be asked for, or on a lock (`queue.get`, `Thread.join`,
  APScheduler's event), which is no system call that we see. The heap is frozen; what is
  collected then is collected by the interpreter's own thresholds, or by short steps in mode
  `concurrent`.
- *refused: busy*: other threads were at work, which a collection would stop. They are waited for,
  for a while (`GCPRELOAD_MODE=idle`), and the next wait is asked again.
- *some*, *none at waits* in mode `concurrent`: short young collections, a millisecond at most,
  did the work before a wait came. That is its purpose; how long they take is in
  [benchmarks](benchmarks.md).
"""
COLUMNS = ("", "Python", *MODES, "processes", "frozen", "a job", "answers", "memory", "exit")


def _by_mode(row: Row, name: str) -> str:
    """One text where it is the same in every mode."""
    values = {mode: row["modes"][mode][name] for mode in MODES}
    if len(set(map(str, values.values()))) == 1:
        return str(values[MODES[0]])
    return "; ".join(f"{mode}: {value}" for mode, value in values.items())


def _processes(cell: Row) -> str:
    """Those that answer, and those in another state."""
    answers = ", ".join(cell["answers"]) or "none seen"
    others = [state for state in cell["others"] if state not in cell["answers"]]
    return "; ".join([answers, *([", ".join(others)] if others else [])])


def _cells(row: Row) -> tuple[str, ...]:
    """All but the first two columns."""
    if row["error"]:
        return ("-",) * len(MODES) + (f"not run: {row['error']}",) + ("-",) * 5
    modes = {
        mode: {
            **cell,
            "processes": _processes(cell),
            "memory": f"+{cell['memory']} MB" if cell["memory"] else "as stock",
            "lost": cell["fault"] if "answers" in cell["fault"] else "all",
        }
        for mode, cell in row["modes"].items()
    }
    shown = {**row, "modes": modes}
    shares = " / ".join(f"{modes[mode]['share']:.1f}" for mode in ("idle", "concurrent"))
    return (
        *(modes[mode]["verdict"] for mode in MODES),
        _by_mode(shown, "processes"),
        _by_mode(shown, "frozen"),
        shares,
        _by_mode(shown, "lost"),
        _by_mode(shown, "memory"),
        "does not end" if row["exit"] is None else str(row["exit"]),
    )


def _name(row: Row) -> str:
    return f"{row['name']} ({row['version']})" if row["version"] else row["name"]


def _lines(rows: Sequence[Row]) -> list[str]:
    """Interpreters that agree share a line."""
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for row in rows:
        merged.setdefault((_name(row), _cells(row)), []).append(row["python"])
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    lines += [(name, ", ".join(pythons), *cells) for (name, cells), pythons in merged.items()]
    return [f"| {' | '.join(line)} |" for line in lines]


def _summary(rows: Sequence[Row]) -> str:
    ran = [row for row in rows if not row["error"]]
    counts = []
    for mode in MODES:
        works = sum(row["modes"][mode]["verdict"] == "works" for row in ran)
        counts.append(f"{works} in mode {mode}")
    return (
        f"{len(ran)} rows, a program on an interpreter each.\n*works* are {', '.join(counts)}.\n"
    )


def render(rows: Sequence[Row]) -> str:
    parts = [HEAD, _summary(rows)]
    for group in dict.fromkeys(row["group"] for row in rows):
        parts.append(f"## {group}\n")
        parts.append("\n".join(_lines([row for row in rows if row["group"] == group])) + "\n")
    parts.append("## Not run\n")
    missing = ["| | what it would need |", "|---|---|"]
    missing += [f"| {one.group}: {one.name} | {one.needs} |" for one in MISSING]
    return "\n".join([*parts, "\n".join(missing)]) + "\n"
