"""The process that is measured: reads a line, measures, answers with numbers. Python 3.7+.

worker.py collections MODULE.so RING_DIR   lines "CALLBACK ...": ns per gc.collect(0) of each
worker.py calls LIBRARY.so LISTENS SERVES  lines "CALL": two numbers, see calls.c
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import random
import sys
import time
from typing import Callable


def recipe() -> Callable[[str, dict[str, int]], None]:
    """The callback as it is published: time in each generation, by gc.callbacks in Python."""
    seconds = {0: 0.0, 1: 0.0, 2: 0.0}
    begun = 0.0

    def callback(phase: str, info: dict[str, int]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.perf_counter()
        else:
            seconds[info["generation"]] += time.perf_counter() - begun

    return callback


def wait_for_ring(directory: str) -> None:
    """The library makes its file at a collection when the process is two seconds old."""
    deadline = time.monotonic() + 60
    while not any(files for _, _, files in os.walk(directory)):
        if time.monotonic() > deadline:
            sys.exit("the library made no file")
        time.sleep(0.05)
        gc.collect(0)


def collections(path: str, ring_dir: str) -> None:
    spec = importlib.util.spec_from_file_location("collections_bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    callbacks = {"none": [], "empty": [module.empty], "recipe": [recipe()]}
    callbacks["empty-again"] = [module.empty]
    if gc.callbacks:
        callbacks["ours"] = list(gc.callbacks)
        wait_for_ring(ring_dir)
    gc.disable()
    print("ready", flush=True)
    for line in sys.stdin:
        answers = {}
        names = line.split()
        for name in random.sample(names, len(names)):
            gc.callbacks[:] = callbacks[name]
            module.measure(gc.collect, 0, 20)
            answers[name] = module.measure(gc.collect, 0, 150)
        print(*(answers[name] for name in names), module.clock(150), flush=True)


def calls(path: str, listens: str, serves: str) -> None:
    library = ctypes.CDLL(path)
    numbers = ctypes.c_double(), ctypes.c_double()
    if library.calls_setup(int(listens), int(serves)) < 0:
        sys.exit("no socket")
    print("ready", *gc.get_threshold(), flush=True)
    for line in sys.stdin:
        library.calls_measure(int(line), *map(ctypes.byref, numbers))
        print(*(number.value for number in numbers), flush=True)


{"collections": collections, "calls": calls}[sys.argv[1]](*sys.argv[2:])
