"""Every alert and every panel of examples/ in a real Prometheus, over an hour of real metrics in
which all is well, and over one in which nothing is."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from lib.export import PROGRAM
from lib.prometheus import PAST, RULES, Recording, alerts, over, panels, run_tests
from lib.puppet import Puppet
from lib.rings import command, wait_for_state
from lib.run import memory_dir
from lib.server import Server, gunicorn
from venvs import Interpreter, system_interpreter


@pytest.fixture(scope="module", autouse=True)
def _needed(request: pytest.FixtureRequest) -> None:
    missing = [name for name in ("prometheus", "promtool") if not shutil.which(name)]
    if missing:
        (pytest.fail if request.config.getoption("--all") else pytest.skip)(
            f"{' and '.join(missing)} missing: scripts/setup test installs them"
        )
    if not PROGRAM.exists():
        pytest.skip("libmicrohttpd-dev is missing")


# ---- an hour in which all is well ----

SHOP = {"GCPRELOAD_SERVICE": "shop"}


def version(number: int) -> dict[str, str]:
    return {**SHOP, "OTEL_RESOURCE_ATTRIBUTES": f"service.version={number}"}


@contextmanager
def asked(servers: list[Server]) -> Iterator[None]:
    """A few requests a second to each that is there; some leave cycles."""
    stop = threading.Event()
    paths = itertools.cycle(["/cycles?n=8000", *["/garbage?n=20"] * 9])

    def ask() -> None:
        while not stop.wait(0.05):
            for server in list(servers):
                with suppress(OSError, AssertionError):  # it ends just now
                    server.get(next(paths))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield
    finally:
        stop.set()
        asker.join()


def fine_hour(python: Interpreter, ring_dir: Path) -> Recording:
    """Deploy, recycle, canary, rollback."""
    recording = Recording(speed=10)
    servers: list[Server] = []

    def minutes(number: int) -> None:
        for _ in range(number):
            time.sleep(0.3)
            recording.look(ring_dir)
            recording.next()

    def start(stack: ExitStack, state: str, number: int, **settings: str) -> Server:
        server = stack.enter_context(gunicorn(python, ring_dir, **settings))
        server.workers_in_state(state, ring_dir)
        servers.append(server)
        wait_for_state(ring_dir, state, number)
        return server

    def leave(stack: ExitStack, server: Server) -> None:
        servers.remove(server)
        stack.close()

    first, second, third = ExitStack(), ExitStack(), ExitStack()
    with asked(servers), first, second, third:
        old = start(first, "ready", 2, **version(1))
        minutes(10)
        new = start(second, "ready", 4, **version(2), GCPRELOAD_MODE="idle")
        minutes(5)
        leave(first, old)
        minutes(5)
        for _ in range(5):  # recycled, as by --max-requests
            new.process.send_signal(1)  # SIGHUP
            minutes(2)
        new.workers_in_state("ready", ring_dir)
        # As many that are not in the sample.
        start(third, "observing", 2, **version(2), GCPRELOAD_SAMPLE="0")
        minutes(15)
        command("set", "--all", "--dir", str(ring_dir), "mode=observe")
        minutes(15)
    return recording


# ---- one in which nothing is ----


def bad_hour(python: Interpreter, ring_dir: Path, empty: Path) -> Recording:
    recording = Recording(speed=1000)
    puppets: dict[str, Puppet] = {}
    collects = "for _ in range(3): gc.collect()"
    does = {
        "busy": "ends = time.monotonic() + 0.1\nwhile time.monotonic() < ends: gc.collect()",
        "slow": "Slow()\ngc.collect()",
        "lost": "for _ in range(4000): gc.collect(0)",
        "canary-tuned": collects,
        "deploy-2": collects,
    }
    slow = (
        "import time\nclass Slow(Node):\n  def __del__(self):\n    time.sleep(0.13)\n"
        "globals()['Slow'] = Slow"
    )

    def start(name: str, *first: str, **settings: str) -> Puppet:
        service, _, number = name.partition("-")
        settings = {"GCPRELOAD_SERVICE": service, "OTEL_RESOURCE_ATTRIBUTES": "", **settings}
        if service == "deploy":
            settings["OTEL_RESOURCE_ATTRIBUTES"] = f"service.version={number}"
        puppet = stack.enter_context(Puppet(python, ring_dir, **settings))
        puppet.do("import time", slow, *first, "one = listen()", "arm(one)")
        puppets[name] = puppet
        return puppet

    def minute() -> None:
        for name, puppet in puppets.items():
            if name in does:
                puppet.do(does[name])
        recording.look(ring_dir)
        recording.look(empty, "blind")
        grown = 'gcpreload_guard_trips_total{service="grown",job="gcpreload",instance="one"}'
        recording.add(grown, max(0, recording.minute - PAST - 5))
        recording.next()

    with ExitStack() as stack:
        observes = {"GCPRELOAD_MODE": "observe"}
        start("busy", **observes)
        start("slow")
        start("lost")
        start("unwilling", "gc.set_threshold(123, 4, 5)")
        start("canary-tuned")
        start("canary-untuned", **observes)
        before = [start("fell"), start("deploy-1")]
        for _ in range(5):
            minute()
        for puppet in before:
            puppet.end()
        for name in ("fell", "deploy-1"):
            del puppets[name]
        start("fell-again", "gc.set_threshold(123, 4, 5)")
        start("deploy-2")
        for _ in range(50):
            minute()
        for puppet in puppets.values():
            puppet.end()
    return recording


FIRES = {
    "GcTakesMuchOfTheTime": "busy",
    "GcLongPauses": "slow",
    "GcpreloadStandsBack": "unwilling",
    "GcpreloadGuard": "grown",
    "GcpreloadEventsLost": "lost",
    "GcpreloadSeesNothing": "",
    "GcpreloadTunedShareFell": "fell",
    "GcpreloadTunedWorse": "canary",
    "GcpreloadNewVersionWorse": "deploy",
}


@pytest.fixture(scope="module")
def fine() -> Recording:
    with memory_dir() as ring_dir:
        return fine_hour(system_interpreter(), ring_dir)


@pytest.fixture(scope="module")
def bad() -> Recording:
    with memory_dir() as ring_dir, memory_dir() as empty:
        return bad_hour(system_interpreter(), ring_dir, empty)


def test_none_fires_where_all_is_well(fine: Recording, tmp_path: Path) -> None:
    firing = 'count by (alertname, service) (ALERTS{alertstate="firing"})'
    tests = [
        {"expr": firing, "eval_time": f"{minute}m", "exp_samples": []}
        for minute in range(PAST, fine.minute)
    ]
    run_tests(fine, tests, tmp_path)


@pytest.mark.parametrize("alert", alerts())
def test_each_fires_where_it_should(bad: Recording, tmp_path: Path, alert: str) -> None:
    if alert not in FIRES:
        pytest.skip(f"there is no scenario for {alert}")
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) by (service)'
    service = FIRES[alert]
    labels = f'{{service="{service}"}}' if service else "{}"
    wanted = f'{expr} and on (service) label_replace(vector(1), "service", "{service}", "", "")'
    test = {
        "expr": wanted,
        "eval_time": f"{bad.minute - 1}m",
        "exp_samples": [{"labels": labels, "value": 1}],
    }
    run_tests(bad, [test], tmp_path)


def test_every_expression_is_answered(fine: Recording, bad: Recording, tmp_path: Path) -> None:
    seen: set[str] = set()
    for recording in (fine, bad):
        place = tmp_path / str(recording.minute)
        place.mkdir()
        with over(recording, place) as prometheus:
            for minute in range(PAST + 5, recording.minute, 7):
                for _, expression in [*alerts().items(), *panels()]:
                    if prometheus.at(minute, expression):
                        seen.add(expression)
    assert {expression for _, expression in panels()} <= seen
    assert {expression for name, expression in alerts().items() if name in FIRES} <= seen


def test_the_rules_are_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert f"{len(alerts())} rules found" in done.stdout.decode()
