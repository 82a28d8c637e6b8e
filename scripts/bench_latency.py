#!/usr/bin/env python3
"""Latency of real applications with the interpreter's own collector, with the published recipe
written into them, with ours, and without any: in turns, at constant rates, open loop.

A latency counts from the moment when the request was due. Rounds of all modes alternate, each
with a new process, server and generator on a core each. "stock again" is stock once more: how far
it is from the first is what the machine does, and says how little a difference may mean. What
`gcpreload watch` saw of every collection is exact.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import bench_common as common
import latency_apps
import latency_file
import latency_report as report
import latency_server as servers
import load
import venvs
from bench_common import ROOT, Failed
from bench_sure import LEAST_ROUNDS
from latency_apps import App, Mode
from latency_file import Run
from latency_report import Interval
from latency_server import LeftOut

QUICK = {"apps": "django-sync", "modes": "stock,freeze,idle", "loads": "70", "rounds": 1}
FULL = {
    "apps": "django-sync,django-gevent,fastapi,flask,sessions,lru",
    "modes": ",".join(mode.name for mode in latency_apps.MODES),
    "loads": "35,70,85,95,100",
    "rounds": LEAST_ROUNDS,
}
WARM_UP = 2.0  # seconds at half of what stock sustains, not counted


def answered(server: servers.Server, rate: float, seconds: float) -> float:
    """Requests a second, until the last was answered."""
    begun = time.monotonic()
    result = load.OpenLoop(server.port, rate, server.app.path).run(seconds, enough_memory)
    if not result.latencies:
        raise Failed(f"{server.app.name} answers nothing:\n{server.said()}")
    return len(result.latencies) / (time.monotonic() - begun)


def sustained(app: App, options: argparse.Namespace) -> float:
    """Requests a second that stock answers when more are asked for than it can. One long
    collection must not look like that: it may take a third of these seconds. The best of three,
    because other programs on the machine only ever take away."""
    with servers.serving(app, latency_apps.MODES[0], options.objects, options.cpus) as server:
        answered(server, 20, 1)
        rate, best = 20.0, 0.0
        with contextlib.suppress(Failed):  # asked for too much, it may answer nothing any more
            while (found := answered(server, rate, 2)) > rate * 0.6 and rate < 20000:
                best, rate = max(best, found), rate * 1.6
            for _ in range(3):
                best = max(best, answered(server, 1.5 * best, 4))
        return best


LEAST_MEMORY = 1 / 16  # of the machine's: below that it is everybody's trouble


def enough_memory(left: float) -> None:
    text = Path("/proc/meminfo").read_text()
    total, available = (
        int(re.findall(rf"^{name}:\s+(\d+)", text, re.M)[0])
        for name in ("MemTotal", "MemAvailable")
    )
    if available < total * LEAST_MEMORY:
        raise LeftOut(f"the machine has {available >> 10} MB left")


def interval(server: servers.Server, rate: float, seconds: float) -> Interval:
    cpu, stopped, seen = server.cpu(), servers.throttled(server.group), time.time()
    result = load.OpenLoop(server.port, rate, server.app.path).run(seconds, enough_memory)
    ended = time.time()
    used, (rss, highest) = server.cpu() - cpu, server.memory()
    stopped = servers.throttled(server.group) - stopped
    time.sleep(0.3)  # the followers are a moment behind
    collections, forks = report.sorted_out(server.events_between(seen, ended))
    server.check_still(collections)
    return Interval(
        seconds=ended - seen,
        latencies=result.latencies,
        failures=result.failures,
        late=result.late,
        cpu=used,
        rss=rss,
        highest=highest,
        throttled=stopped,
        collections=collections,
        forks=forks,
        together=server.together_between(seen, ended),
    )


def one_server(
    app: App, mode: Mode, limit: float, options: argparse.Namespace
) -> dict[int, Interval]:
    """Under one load after the other; a process that never frees its cycles has one only, or it
    would go on with what the loads before have left."""
    each = [[one] for one in options.loads] if mode.never_collects else [options.loads]
    found = {}
    for loads in each:
        with servers.serving(app, mode, options.objects, options.cpus) as server:
            load.OpenLoop(server.port, limit / 2, app.path).run(WARM_UP, enough_memory)
            for percent in loads:
                found[percent] = interval(server, limit * percent / 100, options.seconds)
    return found


class Progress:
    """What comes next, and how long it may still take, from how long it took so far."""

    def __init__(self, servers_to_come: int) -> None:
        self.began = self.first = time.monotonic()
        self.total, self.done = servers_to_come, 0

    def begin(self, what: str) -> None:
        left = ""
        if not self.done:
            self.first = time.monotonic()
        else:
            each = (time.monotonic() - self.first) / self.done
            left = f", about {duration(each * (self.total - self.done))} left"
        common.say(f"{what}; server {self.done + 1} of {self.total}{left}")
        self.done += 1


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def in_turns(modes: list[Mode], number: int) -> list[Mode]:
    """By chance, the same in each run: none is always next to the first, or always before it."""
    return random.Random(number).sample(modes, len(modes))


def measure(app: App, options: argparse.Namespace, run: Run, progress: Progress) -> list[str]:
    """Into the run, round by round; the titles of its tables."""
    limit = options.rate or sustained(app, options)
    common.say(f"{app.name}: stock sustains {limit:.0f} requests a second")
    quota = f", {options.cpus:g} CPU" if options.cpus else ""
    titles = {
        percent: f"{app.name}{quota}, {percent} % of {limit:.0f} requests a second"
        for percent in options.loads
    }
    modes = list(options.modes)
    for number in range(options.rounds):
        found: dict[str, dict[int, Interval]] = {}
        for mode in in_turns(modes, number):
            progress.begin(f"{app.name}: round {number + 1} of {options.rounds}, {mode.name}")
            try:
                found[mode.name] = one_server(app, mode, limit, options)
            except LeftOut as error:
                why = f"{app.name}, {mode.name}: {error}"
                if mode in options.modes[:2]:
                    raise Failed(why) from None  # nothing is left to compare with
                leave_out(run, titles.values(), mode, why)
                modes.remove(mode)
                progress.total -= options.rounds - number - 1
        for percent, title in titles.items():
            table = run.tables.setdefault(title, {})
            for mode in modes:
                if not found[mode.name][percent].latencies:
                    raise Failed(f"{app.name} in mode {mode.name}: no request was answered")
                table.setdefault(mode.name, []).append(found[mode.name][percent])
        keep(options, run, progress)
    return list(titles.values())


def leave_out(run: Run, titles: Iterable[str], mode: Mode, why: str) -> None:
    """A row is of the mode in its name, in every round, or there is none."""
    common.say(f"{why}: it gets no row")
    run.left_out.append(why)
    for title in titles:
        run.tables.get(title, {}).pop(mode.name, None)


def about(options: argparse.Namespace, python: str) -> str:
    said = subprocess.run([python, "-V"], capture_output=True, text=True, check=False)
    rounds = "1 round" if options.rounds == 1 else f"{options.rounds} rounds"
    return (
        f"{said.stdout.strip()}, {common.machine()['cpu']}, {len(servers.USABLE)} cores, one for "
        f"the server and one for the generator;\n{rounds} of {options.seconds:g} s each, in turns,"
        f" with a new process each time; about {options.objects} objects after loading."
    )


def draw(options: argparse.Namespace) -> None:
    python = venvs.venv("latency", venvs.system_interpreter())
    program = ROOT / "scripts" / "latency_picture.py"
    subprocess.run([python, program, options.json, options.picture], check=True)
    common.say(f"the picture is in {options.picture}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench latency",
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a look, in two minutes")
    parser.add_argument(
        "--apps",
        help=f"some of {', '.join(latency_apps.PROGRAMS)}, or of these with the name of a server: "
        f"django-sync ({FULL['apps']})",
    )
    parser.add_argument(
        "--server", help=f"some of {', '.join(latency_apps.SERVERS)}, for all of --apps"
    )
    parser.add_argument(
        "--modes",
        help=f"some of {FULL['modes']} (or nogc); the first is compared with, and measured twice",
    )
    parser.add_argument(
        "--loads", "--load", help=f"percent of what stock sustains ({FULL['loads']})"
    )
    parser.add_argument(
        "--rounds", type=int, help=f"of each mode ({FULL['rounds']}, the least for an interval)"
    )
    parser.add_argument("--seconds", type=float, help="of each load in a round (8; quick: 12)")
    parser.add_argument("--objects", type=int, default=300000, help="of the heap (%(default)s)")
    parser.add_argument("--rate", type=float, help="requests a second instead of what is found")
    parser.add_argument("--cpus", type=float, help="CPU quota of the server, by a cgroup (root)")
    parser.add_argument("--app", metavar="COMMAND", help="your own: 'gunicorn my:app'")
    parser.add_argument("--url", default="/", help="its path; {n} counts (%(default)s)")
    parser.add_argument("--json", type=Path, help="a file for everything that was measured")
    parser.add_argument("--render", type=Path, help="no run: the tables of such a file")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--picture", help="an SVG or PNG file for the latency distributions")
    return parser.parse_args()


def settle(options: argparse.Namespace, python: str) -> list[App]:
    """Fills in what was not said."""
    defaults = QUICK if options.quick else FULL
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.picture and not options.json:
        options.json = Path(options.picture).with_suffix(".json")
    options.seconds = options.seconds or (12.0 if options.quick else 8.0)
    if options.rounds < 1 or options.seconds < 1:
        raise Failed("--rounds and --seconds must be 1 at least")
    options.modes = latency_apps.chosen_modes(options.modes)
    options.loads = [int(one) for one in options.loads.split(",")]
    if options.app:
        if options.server:
            raise Failed("--server: the command of --app says its server itself")
        if any(mode.application for mode in options.modes):
            common.say("recipe and gc.disable() are lines in an application: left out with --app")
        options.modes = [mode for mode in options.modes if not mode.application]
        if not options.modes:
            raise Failed("--modes: none is left")
    options.modes = with_the_first_again(options.modes)
    if options.app:
        return [latency_apps.own_app(options.app, options.url)]
    return latency_apps.chosen(options.apps, options.server, python)


def with_the_first_again(modes: list[Mode]) -> list[Mode]:
    """What the first differs by from itself is what no other difference may be taken for."""
    again = replace(modes[0], name=f"{modes[0].name} again")
    return [modes[0], again, *(mode for mode in modes[1:] if mode != again)]


def keep(options: argparse.Namespace, run: Run, progress: Progress) -> None:
    """After each round: a run takes long."""
    run.took = time.monotonic() - progress.began
    if options.json:
        latency_file.save(run, options.json)


def show(run: Run, titles: list[str], markdown: bool) -> None:
    found = run.figures()
    for title in titles:
        for table in report.tables(title, found[title]):
            table.markdown() if markdown else table.print()
    sys.stdout.flush()


def finish(options: argparse.Namespace, run: Run) -> None:
    print(f"\n{run.about}\n{report.LEGEND}")
    for why in run.left_out:
        print(f"No row: {why}.")
    if options.picture:
        draw(options)
    common.say(f"it took {duration(run.took)}")


def render(options: argparse.Namespace) -> None:
    options.json = options.render
    run = latency_file.load(options.json)
    show(run, list(run.tables), options.markdown)
    finish(options, run)


def bench(options: argparse.Namespace) -> None:
    python = venvs.venv("latency", venvs.system_interpreter())
    apps = settle(options, python)
    subprocess.run(["make", "-s", "-C", ROOT, "all"], check=True, stdout=sys.stderr)
    if len(servers.USABLE) < 2:
        common.say("one core only: the server shares it with the generator")
    os.sched_setaffinity(0, {servers.GENERATORS_CORE})
    run = Run(about(options, python), common.machine())
    progress = Progress(len(apps) * options.rounds * len(options.modes))
    keep(options, run, progress)  # a file that cannot be written is told at once
    for app in apps:
        show(run, measure(app, options, run, progress), options.markdown)
    finish(options, run)


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """As an exception, so that what was started is ended."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> int:
    options = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        render(options) if options.render else bench(options)
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
