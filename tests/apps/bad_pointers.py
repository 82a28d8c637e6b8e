"""Waits with addresses that cannot be read, each at a moment at which a wait is looked at. Says
what each gives, before readiness and after it; or, with the name of one, makes only that call,
which may end the program."""

import ctypes
import errno
import fcntl
import gc
import os
import select
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
HEAP = [[number] for number in range(20000)]
page = os.sysconf("SC_PAGESIZE")
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)

BAD = ctypes.c_void_p(8)
NO_TIME = (ctypes.c_long * 2)(0, 0)
# One byte of what is waited for would have to be read behind the end of a page.
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
two_pages = libc.mmap(None, 2 * page, 3, 0x22, -1, 0)
libc.munmap(ctypes.c_void_p(two_pages + page), ctypes.c_size_t(page))
EDGE = ctypes.c_void_p(two_pages + page - 8)
SET = (ctypes.c_ulong * 16)(1 << listener.fileno())
BITS = ctypes.c_int(100)  # more descriptors than are left at the edge
# select(2) reads no more bits than the process's table of descriptors has room for.
fcntl.fcntl(listener, fcntl.F_DUPFD, 120)
LARGE = ctypes.c_size_t(1 << 20)

CALLS = {
    "poll": ("poll", BAD, 1, 0),
    "poll at an edge": ("poll", EDGE, 2, 0),
    "__poll_chk": ("__poll_chk", BAD, 1, 0, LARGE),
    "ppoll": ("ppoll", BAD, 1, NO_TIME, None),
    "__ppoll_chk": ("__ppoll_chk", BAD, 1, NO_TIME, None, LARGE),
    "select": ("select", 5, BAD, None, None, NO_TIME),
    "select to write": ("select", 5, None, BAD, None, NO_TIME),
    "select at an edge": ("select", BITS, EDGE, None, None, NO_TIME),
}
MAY_END_IT = {
    "select for a time": ("select", listener.fileno() + 1, SET, None, None, BAD),
    "ppoll for a time": ("ppoll", SET, 0, BAD, None),
}


def call(name, *arguments):
    time.sleep(0.03)
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return result, errno.errorcode.get(ctypes.get_errno())


def main():
    for when in ("before", "ready"):
        for name, arguments in CALLS.items():
            print(when, name, *call(*arguments))
        if sys.argv[1:]:
            sys.stdout.flush()
            print(when, *call(*MAY_END_IT[sys.argv[1]]))
        select.select([listener], [], [], 0.01)
    print("frozen", gc.get_freeze_count() >= len(HEAP))


main()
