"""The start of cumulative counts stays with them when an exporter is started again.

A collector takes another start for a reset, and counts all again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.collector import COLLECTIONS, Collector, by_generation, points, pushed
from lib.export import PROGRAM, own, served
from lib.puppet import Puppet
from lib.rings import command, ring_files
from venvs import Interpreter

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="libcurl or libmicrohttpd is missing")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


def told(collector: Collector, ring_dir: Path) -> tuple[int, list[int]]:
    """By an exporter that begins: the start, and the counts."""
    resources = pushed(collector, ring_dir).resources
    (start,) = {point.start_time_unix_nano for point in points(resources, COLLECTIONS)}
    return start, by_generation(resources, COLLECTIONS)


def test_when_the_first_process_is_gone(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """And its ring is removed, as new ones do when there are many."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        before = own(puppet)["collections"]
        first = told(collector, ring_dir)
        puppet.process.kill()  # or it would have a last collection
        puppet.process.wait()
    for _ in range(2):
        assert first == told(collector, ring_dir) == (first[0], before)
        assert command("clean", "--dir", ring_dir).returncode == 0
        assert not ring_files(ring_dir)
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        both = [sum(each) for each in zip(before, own(puppet)["collections"])]
        assert told(collector, ring_dir) == (first[0], both)
        puppet.process.kill()
        puppet.process.wait()
    assert command("clean", "--dir", ring_dir).returncode == 0
    assert told(collector, ring_dir) == (first[0], both)


def test_when_one_that_began_earlier_comes_later(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    with Puppet(system_python, ring_dir) as early, Puppet(system_python, ring_dir) as late:
        early.do("1")
        late.do("1")
        served(late)
        start, counts = told(collector, ring_dir)
        served(early)
        again, more = told(collector, ring_dir)
    assert again == start
    assert sum(more) > sum(counts)


def test_nobody_takes_it_for_an_sdk(
    system_python: Interpreter, ring_dir: Path, collector: Collector
) -> None:
    """telemetry.sdk.* is of the libraries in an application; the scope says who we are."""
    with Puppet(system_python, ring_dir) as puppet:
        served(puppet)
        (resource,) = pushed(collector, ring_dir).resources
    keys = [attribute.key for attribute in resource.resource.attributes]
    assert not [key for key in keys if key.startswith("telemetry.")]
    (scope,) = resource.scope_metrics
    assert (scope.scope.name, bool(scope.scope.version)) == ("gcpreload", True)
