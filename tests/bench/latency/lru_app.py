"""A large cache of the entries that were used last, full from the start: each request replaces
150, finds 1 500, and meets 20 errors whose tracebacks refer to themselves.

LATENCY_ENTRIES  of the cache
"""

import functools
import itertools
import os
import random

import common

ENTRIES = int(os.environ.get("LATENCY_ENTRIES", "200000"))
REPLACED, FOUND, ERRORS = 150, 1500, 20
KEYS = itertools.count()


@functools.lru_cache(maxsize=ENTRIES)
def entry(key):
    return {"id": key, "word": common.WORDS[key % len(common.WORDS)], "parts": [key, key * 7]}


def check(found):
    raise ValueError(f"{found['word']} has no price")


def checked(key):
    """As code that tells of an error later: the frame has the error, which has the frame."""
    error = None
    try:
        check(entry(key))
    except ValueError as caught:
        error = caught
    return str(error)


def work():
    keys = list(itertools.islice(KEYS, REPLACED))
    for key in keys:
        entry(key)
    # Whatever is refreshed is of the newer half: none of that has been evicted.
    newer = min(keys[-1], ENTRIES // 2)
    price = sum(entry(keys[-1] - int(newer * random.random()))["id"] for _ in range(FOUND))
    said = [checked(key) for key in keys[:ERRORS]]
    return f"{entry.cache_info().currsize} entries, {price}, {said[-1]}\n"


app, asgi = common.served(work)
common.heap()
for key in itertools.islice(KEYS, ENTRIES):
    entry(key)
common.tune()
