"""How sure a number is, when rounds differ by more than what is measured within them.

A round is a process of its own at a time of its own. Requests in one round, or seconds of it, have
that in common: a thousand of them are no thousand observations. The unit here is therefore the
round, both sides of a comparison are taken from the same round, and of few rounds nothing is said.
Both intervals are exact for the number of rounds and assume no distribution. Nothing is drawn at
random: what a bootstrap would draw of eight rounds covers too little (see test_bench_sure.py).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_ROUNDS = 8  # or nothing is said of how sure a number is
TAIL = 0.025  # what may lie outside, on each side
WITHIN_NOISE = "within noise"


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Between which two of them the true median is, by the sign test."""
    number = len(values)
    if number < LEAST_ROUNDS:
        return None
    ordered, beyond, outside = sorted(values), 0.0, 0
    while (beyond := beyond + math.comb(number, outside) / 2**number) <= TAIL:
        outside += 1
    return ordered[outside - 1], ordered[-outside]


def _left_out(number: int) -> int:
    """Of the sums of ranks that so many signs can give: how many are the lowest 2.5 %."""
    ways = [1]  # by sum
    for rank in range(1, number + 1):
        longer = [*ways, *[0] * rank]
        for total, count in enumerate(ways):
            longer[total + rank] += count
        ways = longer
    beyond, outside = 0, 0
    while (beyond := beyond + ways[outside]) <= TAIL * 2**number:
        outside += 1
    return outside


@dataclass(frozen=True)
class Ratio:
    """Of one mode to another, from pairs of the same round."""

    ratio: float
    sure_from: float
    sure_to: float

    def beyond(self, band: Ratio | None) -> bool:
        """Whether it is more than the machine does by itself: band is the first mode, again."""
        if band is None or self.sure_from <= 1 <= self.sure_to:
            return False
        noise = max(abs(math.log(band.sure_from)), abs(math.log(band.sure_to)))
        return abs(math.log(self.ratio)) > noise

    def interval(self) -> str:
        return f"{self.sure_from:.2f} to {self.sure_to:.2f}"

    def text(self) -> str:
        return f"{self.ratio:.2f} ({self.interval()})"


def ratio(values: Sequence[float], to: Sequence[float]) -> Ratio | None:
    """With 95 %, by Wilcoxon's signed ranks (the estimate of Hodges and Lehmann): where the two
    are the same thing, any round could as well have had them the other way round, and then it is
    exact, whatever rounds have in common and however wild they are."""
    pairs = list(zip(values, to))
    if len(pairs) < LEAST_ROUNDS or not all(a > 0 and b > 0 for a, b in pairs):
        return None  # of too few, or of one where there was too little to measure
    differences = [math.log(a / b) for a, b in pairs]
    means = sorted(
        (one + other) / 2 for place, one in enumerate(differences) for other in differences[place:]
    )
    outside = _left_out(len(pairs))
    shown = statistics.median(means), means[outside - 1], means[-outside]
    return Ratio(*map(math.exp, shown))
