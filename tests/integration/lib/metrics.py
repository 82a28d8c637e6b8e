"""What the exporter says, as Prometheus reads it."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from pathlib import Path

from lib.paths import DEADLINE
from lib.rings import command

SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\.)*)"')
Samples = list[tuple[str, dict[str, str], float]]


def parsed(text: str) -> Samples:
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        found.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))
    return found


def once(ring_dir: Path, *words: str) -> Samples:
    done = command("export", "--once", "--dir", ring_dir, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return parsed(done.stdout.decode())


def by_generation(samples: Samples, name: str) -> list[int]:
    total: Counter[str] = Counter()
    for metric, labels, value in samples:
        if metric == name:
            total[labels["generation"]] += int(value)
    return [total[str(generation)] for generation in range(3)]


def one(samples: Samples, name: str) -> float:
    (value,) = (value for metric, _, value in samples if metric == name)
    return value


def fetch(url: str, **headers: str) -> tuple[str, str]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return answer.headers["Content-Type"], answer.read().decode()
