"""libgcpreload: Python web services without the pauses of Python's garbage collector.

Nothing happens by importing this: LIBRARY is the shared library for LD_PRELOAD, COMMAND the
program that `python -m gcpreload` becomes. LIBRARY is None in the package for musl, which has no
library.
"""

import os

_HERE = os.path.dirname(os.path.abspath(__file__))
_FILE = os.path.join(_HERE, "lib", "libgcpreload.so")

COMMAND = os.path.join(_HERE, "bin", "gcpreload")
LIBRARY = _FILE if os.path.exists(_FILE) else None
