#!/usr/bin/env python3
"""Writes the manual pages as scdoc(5) text: a page for the command, one for each sub-command, one
for the settings. Synopsis, description and options are the programs' own --help; examples, files,
variables and exit statuses are the tables below.

    scripts/man.py BUILD INTO

BUILD is the directory of the built programs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTION = re.compile(r"^  (-\S(?:\S| (?! ))*)(?:  +(\S.*))?$")

Pairs = list[tuple[str, str]]

EXAMPLES: dict[str, Pairs] = {
    "": [
        ("gcpreload run gunicorn app:app", "Start a server under the library."),
        ("gcpreload ps", "List the processes, their state, and the reason for it."),
    ],
    "run": [
        ("gcpreload run gunicorn app:app", "Start a server with the default settings."),
        (
            "gcpreload run -m idle --slow-ms=50 -- uvicorn app:app",
            "Mode idle; log every collection that takes 50 ms or more.",
        ),
    ],
    "ps": [
        ("gcpreload ps", "List the running processes of the user."),
        ("gcpreload ps --all --json", "All processes as JSON, including ended ones."),
    ],
    "report": [
        ("gcpreload report", "Compare stock and tuned collector of all processes."),
        (
            "gcpreload report --json > before.json",
            "Save a report, to compare it with a later one:",
        ),
        ("gcpreload report --compare before.json after.json", "Compare two saved reports."),
        ("gcpreload report --fleet pods/*.json", "Compare pods, from one saved report of each."),
    ],
    "watch": [
        ("gcpreload watch", "Print the collections of all processes until Ctrl-C."),
        ("gcpreload watch --json --for 60 1234", "Those of process 1234 for a minute, as JSON."),
    ],
    "trace": [
        (
            "gcpreload trace -o trace.json --for 30",
            "Record 30 seconds; open the file in https://ui.perfetto.dev.",
        ),
        (
            "gcpreload trace -o trace.json --last=10m --for 1",
            "Write what the rings still have of the last ten minutes.",
        ),
    ],
    "set": [
        ("gcpreload set --all mode=off", "Stop tuning everywhere, also in what starts later."),
        ("gcpreload set --all mode=default", "Take that back."),
        ("gcpreload set --service shop mode=idle", "Mode idle for the processes of a service."),
    ],
    "thaw": [("gcpreload thaw 1234", "Unfreeze process 1234 and restore its thresholds.")],
    "ready": [("gcpreload ready 1234", "Tune process 1234 without waiting for its trigger.")],
    "doctor": [
        ("gcpreload doctor -- gunicorn app:app", "Check whether the library works there."),
        ("gcpreload doctor --pid 1234", "Check a running process."),
    ],
    "attach": [
        ("gcpreload attach 1234", "Measure the collections of process 1234 from now on."),
        ("gcpreload attach -m freeze 1234", "Also collect, freeze and raise the thresholds."),
        ("gcpreload doctor --pid 1234", "Tell first whether attach would work."),
    ],
    "detach": [("gcpreload detach 1234", "Undo that.")],
    "clean": [
        ("gcpreload clean --dry-run", "Print what would be removed."),
        ("gcpreload clean --totals", "Remove all measurements of ended processes."),
    ],
    "path": [
        ("gcpreload path", "Print the path of the library."),
        (
            "LD_PRELOAD=$(gcpreload path) gunicorn app:app",
            "Start a server under the library, as gcpreload run does.",
        ),
    ],
    "top": [
        ("gcpreload top", "Show the processes of the user, live."),
        ("gcpreload top -1 -n 5", "Print one list, measured over 5 seconds."),
    ],
    "export": [
        ("gcpreload export", "Serve metrics and page on 127.0.0.1:9721."),
        ("gcpreload export --listen none --otlp http://collector:4318", "Push only."),
        (
            "gcpreload export --textfile /var/lib/node_exporter/gcpreload.prom",
            "Write the metrics once for the textfile collector.",
        ),
        ("gcpreload export --page gc.html", "Save the page as a file."),
    ],
}

MODES = (
    "/dev/shm/gcpreload-UID/all.ctl, service.NAME.ctl",
    "Modes that are in force for all processes of user UID, or for those of a service.",
)
RINGS = (
    "/dev/shm/gcpreload-UID/",
    "Measurements of the processes of user UID, a file for each process; and totals of removed "
    "ones, retired.*.",
)
CONF = ("/etc/gcpreload.conf", "Settings, see gcpreload.conf(5).")
LIBRARY = (
    "libgcpreload.so",
    "The library: next to the command, among the packages of its Python, in ../lib, or where "
    "installed.",
)

FILES: dict[str, Pairs] = {
    "": [RINGS, CONF, LIBRARY],
    "set": [MODES, CONF],
    "run": [LIBRARY, CONF],
    "doctor": [CONF],
    "path": [LIBRARY],
    "attach": [RINGS, LIBRARY, CONF],
}

DIR = ("GCPRELOAD_DIR", "Directory of the measurements, without --dir (default: /dev/shm).")

ENVIRONMENT: dict[str, Pairs] = {
    "detach": [("GCPRELOAD_DIR", "Not needed: the process knows where it measures.")],
    "": [DIR, ("GCPRELOAD_*", "Settings of the library, see gcpreload.conf(5).")],
    "run": [
        ("GCPRELOAD_*", "Settings of the library; options set them for COMMAND."),
        ("LD_PRELOAD", "The library is put first in it; what it had stays behind."),
    ],
    "path": [
        ("LD_PRELOAD, GCPRELOAD_*", "Not read; what the library is given, and its settings.")
    ],
    "doctor": [
        ("GCPRELOAD_*", "Settings of the library, as COMMAND would read them."),
        ("PATH", "Where COMMAND is looked for."),
    ],
    "export": [
        DIR,
        *(
            (f"OTEL_EXPORTER_OTLP_{name}, OTEL_EXPORTER_OTLP_METRICS_{name}", text)
            for name, text in (
                (
                    "ENDPOINT",
                    "URL of the collector. /v1/metrics is appended to the first; the second is "
                    "used as it is (default: http://localhost:4318).",
                ),
                ("HEADERS", "Headers: KEY=VALUE,KEY=VALUE, percent-encoded."),
                ("TIMEOUT", "Time limit of a request in milliseconds (default: 10000)."),
                ("COMPRESSION", "gzip or none (default: none)."),
                ("CERTIFICATE", "File with the certificates of trusted authorities."),
                ("CLIENT_KEY", "File with the private key of the client."),
                ("CLIENT_CERTIFICATE", "File with the certificate of the client."),
            )
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "cumulative, delta or lowmemory (default: cumulative).",
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram or explicit_bucket_histogram (default: the "
            "first).",
        ),
        ("OTEL_METRIC_EXPORT_INTERVAL", "Milliseconds between pushes (default: 60000)."),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "Time limit of a push in milliseconds (default: 30000)."),
        (
            "OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES",
            "Attributes of the resource, where a process does not set them.",
        ),
        ("OTEL_SDK_DISABLED", "true: push nothing."),
    ],
    "top": [DIR, ("NO_COLOR", "No colors, if it is set."), ("TERM", "The type of the terminal.")],
}

USAGE_ERROR = ("2", "Usage error.")
PLAIN = [("0", "Success."), ("1", "Failure."), USAGE_ERROR]
TOLD = [
    ("0", "All processes that serve answered and changed."),
    ("1", "A process did not answer, did not change, cannot be reached, or there is none."),
    USAGE_ERROR,
]
SET = [
    ("0", "Every process that serves has the mode; with --no-wait: it was written."),
    ("1", "A process did not answer in time, did not change, or cannot be reached."),
    USAGE_ERROR,
]
EXIT_STATUS: dict[str, Pairs] = {
    "run": [
        ("127", "COMMAND was not found."),
        ("126", "COMMAND could not be executed."),
        ("1", "The library was not found."),
        USAGE_ERROR,
        ("other", "The exit status of COMMAND."),
    ],
    "set": SET,
    "thaw": TOLD,
    "ready": TOLD,
    "attach": [
        ("0", "The library is in the process, and measures."),
        ("1", "Refused, or the main thread did not run Python in time; the reason is printed."),
        USAGE_ERROR,
    ],
    "detach": [
        ("0", "The process is as it was, but for the file of the library, which stays mapped."),
        ("1", "Refused, or the main thread did not run Python in time; the reason is printed."),
        USAGE_ERROR,
    ],
    "export": [
        ("0", "Success."),
        ("1", "Failure; with --once and --otlp: the push did not arrive."),
        USAGE_ERROR,
    ],
    "doctor": [
        ("0", "It will be tuned when it is ready."),
        ("1", "It will not be tuned, or only observed."),
        USAGE_ERROR,
        (
            "3",
            "It depends: on whether it becomes ready, which only running it can show; or on "
            "chance, with GCPRELOAD_SAMPLE_BY=process.",
        ),
    ],
}

ALSO: dict[str, list[str]] = {
    "run": ["gcpreload-doctor(1)", "ld.so(8)"],
    "ps": ["gcpreload-report(1)", "gcpreload-top(1)", "gcpreload-doctor(1)"],
    "report": ["gcpreload-ps(1)"],
    "watch": ["gcpreload-trace(1)", "gcpreload-top(1)"],
    "trace": ["gcpreload-watch(1)"],
    "set": ["gcpreload-thaw(1)", "gcpreload-ready(1)", "gcpreload-ps(1)"],
    "thaw": ["gcpreload-set(1)"],
    "ready": ["gcpreload-set(1)"],
    "doctor": ["gcpreload-run(1)", "gcpreload-ps(1)"],
    "attach": ["gcpreload-detach(1)", "gcpreload-doctor(1)", "gcpreload-ps(1)"],
    "detach": ["gcpreload-attach(1)", "gcpreload-set(1)"],
    "clean": ["gcpreload-export(1)"],
    "path": ["gcpreload-run(1)", "ld.so(8)"],
    "top": ["gcpreload-ps(1)", "gcpreload-watch(1)"],
    "export": ["gcpreload-report(1)"],
}


@dataclass
class Help:
    """What a command says of itself."""

    usages: list[str] = field(default_factory=list)
    summary: str = ""
    paragraphs: list[str] = field(default_factory=list)
    before_options: str = ""  # a heading of some of them
    options: Pairs = field(default_factory=list)


def said(program: Path, *words: str) -> str:
    return subprocess.run(
        [program, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip("\n")


def parse_block(block: str, found: Help) -> None:
    """Lines between two empty ones: a paragraph, or options with a heading or without."""
    paragraph: list[str] = []
    in_option = False
    for line in block.split("\n"):
        if option := OPTION.match(line):
            found.options.append((option[1], option[2] or ""))
            in_option = True
        elif in_option and line.startswith(" " * 10):
            flags, text = found.options[-1]
            found.options[-1] = (flags, f"{text} {line.strip()}".strip())
        elif not line.startswith("  "):  # else a list of variables, which ENVIRONMENT has
            paragraph.append(line)
    text = " ".join(paragraph)
    if in_option and text:
        found.before_options = text
    elif text and not text.startswith("Exit status") and not text.endswith(":"):
        found.paragraphs.append(text)


def parse(text: str) -> Help:
    usage, summary, *blocks = text.split("\n\n")
    found = Help(summary=summary.strip())
    for line in usage.split("\n"):
        if match := re.match(r"(?:usage:|      ) (gcpreload .*)", line):
            found.usages.append(match[1])
        else:
            found.usages[-1] += " " + line.strip()
    for block in blocks:
        parse_block(block, found)
    return found


def escaped(text: str) -> str:
    return re.sub(r"([\\_*<>#`\[\]~-])", r"\\\1", text)


def settings(program: Path) -> Pairs:
    """Name, and the help with what is allowed and the default."""
    options = parse(said(program, "run", "--help")).options
    return [(flags[2:].replace("-", "_"), text) for flags, text in options if flags[:2] == "--"]


def sub_commands(program: Path) -> dict[str, str]:
    """Each with its summary; the programs beside it are in its list, too."""
    return dict(re.findall(r"^  ([a-z]+) +(\S.*)$", said(program, "--help"), re.M))


# ---- scdoc ----


def sentence(text: str) -> str:
    """Of a help text: it has no full stop at its end."""
    text = text[:1].upper() + text[1:] if not re.match(r"[\w_]+:", text) else text
    return escaped(text if text.endswith((".", ":")) else text + ".")


def flags_of(text: str) -> str:
    """-o, --output FILE: options are bold, arguments underlined."""

    def word(match: re.Match[str]) -> str:
        bare = match[0].strip("[],")
        mark = "*" if bare.startswith("-") else "_"
        return escaped(match[0]).replace(escaped(bare), f"{mark}{escaped(bare)}{mark}", 1)

    return re.sub(r"\S+", word, text)


def defined(term: str, text: str) -> str:
    return f"{term}\n\t{text}\n"


def section(name: str, *parts: str) -> str:
    return f"# {name}\n\n" + "\n".join(part.rstrip("\n") + "\n" for part in parts) + "\n"


def pairs(name: str, table: Pairs) -> str:
    """A section with a list."""
    if not table:
        return ""
    return section(name, *(defined(f"*{escaped(term)}*", referring(text)) for term, text in table))


def referring(text: str) -> str:
    """Names of pages are bold."""
    return re.sub(r"(gcpreload[\w.\\-]*)\((\d)\)", r"*\1*(\2)", escaped(text))


def examples(name: str) -> str:
    lines = [f"{escaped(text)}\n\n\t*{escaped(line)}*\n" for line, text in EXAMPLES[name]]
    return section("EXAMPLES", *lines)


def see_also(names: list[str]) -> str:
    return section(
        "SEE ALSO", ", ".join(re.sub(r"(.*)(\(\d\))", r"*\1*\2", name) for name in names)
    )


def environment(name: str, found: Help) -> str:
    table = ENVIRONMENT.get(name)
    if table is None:
        table = [DIR] if any("--dir" in flags for flags, _ in found.options) else []
    return pairs("ENVIRONMENT", table)


def options(found: Help) -> str:
    parts = [escaped(found.before_options) + "\n"] if found.before_options else []
    # A heading says that these are the settings: each takes a value.
    value = "=_VALUE_" if found.before_options else ""
    parts += [
        defined(flags_of(flags) + ("" if " " in flags else value), sentence(text))
        for flags, text in found.options
    ]
    parts.append(defined("*-h*, *--help*", "Print a short help and exit."))
    return section("OPTIONS", *parts)


def page_of(program: Path, name: str) -> str:
    found = parse(said(program, name, "--help"))
    usages = [escaped(line) for line in found.usages]
    begin = escaped(f"gcpreload {name}")
    synopsis = "++\n".join(line.replace(begin, f"*{begin}*", 1) for line in usages)
    description = [escaped(text) + "\n" for text in found.paragraphs]
    return (
        f"gcpreload-{name}(1)\n\n"
        + section("NAME", f"gcpreload-{name} - {escaped(found.summary)}")
        + section("SYNOPSIS", synopsis)
        + section("DESCRIPTION", *(description or [sentence(found.summary)]))
        + options(found)
        + examples(name)
        + pairs("FILES", FILES.get(name, [RINGS]))
        + environment(name, found)
        + pairs("EXIT STATUS", EXIT_STATUS.get(name, PLAIN))
        + see_also(["gcpreload(1)", *ALSO[name], "gcpreload.conf(5)"])
    )


def main_page(commands: dict[str, str]) -> str:
    about = (
        "The library libgcpreload.so, named in LD_PRELOAD, finds the moment when a Python server "
        "is ready, collects, freezes and raises the thresholds of its cyclic garbage collector, "
        "and writes the duration of every collection into shared memory. This command starts "
        "servers under it and shows the measurements. The settings of the library are in "
    )
    listed = [
        defined(f"*{name}*", sentence(summary) + referring(f" See gcpreload-{name}(1)."))
        for name, summary in commands.items()
    ]
    return (
        "gcpreload(1)\n\n"
        + section("NAME", "gcpreload - " + escaped("tune and measure Python's garbage collector"))
        + section("SYNOPSIS", "*gcpreload* _COMMAND_ \\[_OPTIONS_\\]")
        + section("DESCRIPTION", escaped(about) + "*gcpreload.conf*(5).")
        + section("COMMANDS", *listed)
        + section(
            "OPTIONS",
            defined("*-h*, *--help*", "Print the list of commands and exit."),
            defined("*-V*, *--version*", "Print the version and exit."),
        )
        + examples("")
        + pairs("FILES", FILES[""])
        + pairs("ENVIRONMENT", ENVIRONMENT[""])
        + pairs("EXIT STATUS", PLAIN)
        + see_also([*(f"gcpreload-{name}(1)" for name in commands), "gcpreload.conf(5)"])
    )


def settings_page(program: Path) -> str:
    listed = [
        defined(f"*{escaped('GCPRELOAD_' + name.upper())}*, *{escaped(name)}*", sentence(text))
        for name, text in settings(program)
    ]
    about = [
        "Settings come from environment variables and from the file */etc/gcpreload.conf*, or the "
        "one that GCPRELOAD\\_CONF names; never from the current directory. In the file a line "
        "is *name = value*. The variable GCPRELOAD\\_NAME overrides it.",
        "Lines after \\[_glob_\\] are for processes whose command line matches it. Lines that "
        "begin with # are comments.".replace("#", "\\#"),
        "A value that cannot be used is reported in one line on standard error. Where it says "
        "what is tuned (MODE, TRIGGER, BASELINE, ONLY, EXCEPT, SAMPLE, CONF), and where a line "
        "of the file is not understood, nothing is tuned: processes are only observed. DISABLE "
        "with a value that is neither yes nor no turns the library off. Of other settings the "
        "default is used.",
    ]
    example = "```\nmode = idle\nslow_ms = 50\n\n[*celery*]\nmode = off\n```"
    return (
        "gcpreload.conf(5)\n\n"
        + section("NAME", "gcpreload.conf - settings of libgcpreload")
        + section("SYNOPSIS", "*/etc/gcpreload.conf*")
        + section("DESCRIPTION", *(text + "\n" for text in about))
        + section("OPTIONS", *listed)
        + section("EXAMPLES", "Mode idle, but not for workers of Celery:\n", example)
        + pairs("FILES", [("/etc/gcpreload.conf", "The settings of all processes."), RINGS])
        + pairs(
            "ENVIRONMENT",
            [("GCPRELOAD_*", "Each setting, see above."), ("GCPRELOAD_CONF", "Another file.")],
        )
        + see_also(["gcpreload(1)", "gcpreload-run(1)"])
    )


def main() -> None:
    program, into = Path(sys.argv[1]) / "gcpreload", Path(sys.argv[2])
    into.mkdir(parents=True, exist_ok=True)
    commands = sub_commands(program)
    pages = {"gcpreload.1": main_page(commands), "gcpreload.conf.5": settings_page(program)}
    pages |= {f"gcpreload-{name}.1": page_of(program, name) for name in commands}
    for name, text in pages.items():
        (into / f"{name}.scd").write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
