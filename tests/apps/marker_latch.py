"""Puts a Latch (marker_latch.c) into the heap; what a test of marks needs in the program."""

import ctypes
import gc
import os

library = ctypes.PyDLL(os.environ["MARKER_LATCH"])
library.latch_type.restype = ctypes.py_object
if library.latch_open(os.environ["MARKER_LATCH_PAGE"].encode()) != 0:
    raise SystemExit("no page for the latch")
LATCH = library.latch_type()()
os.register_at_fork(after_in_child=library.latch_is_program)


class Allocator(ctypes.Structure):
    """PyMemAllocatorEx"""

    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


def allocator():
    """Who is on top of the allocator of objects."""
    top = Allocator()
    ctypes.pythonapi.PyMem_GetAllocator(2, ctypes.byref(top))
    return [getattr(top, name) for name, _ in top._fields_]


class Cycle:
    def __init__(self):
        self.me = self


def collections():
    return sum(part["collections"] for part in gc.get_stats())


def one_collection():
    """Garbage, until the collector has run by itself."""
    before = collections()
    while collections() == before:
        Cycle()
    return collections() - before


def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False


def descriptors():
    return [fd for fd in range(64) if is_open(fd)]
