"""A program whose garbage is old and in cycles: sessions that are kept for a while, then dropped.

    sessions.py SESSIONS [KEPT [OBJECTS]]

It makes so many sessions, one after the other, and more until GONE of them were freed; keeps the
last ones, and says in a line of JSON what became of the others. It never collects by itself. With
LISTEN it arms a listening socket first, as a server does.
"""

import gc
import json
import os
import resource
import select
import socket
import sys
import weakref

GONE = int(os.environ.get("GONE", "0"))
SLOW = os.environ.get("SESSIONS_PAUSE")  # seconds in a server's wait between two sessions


class Session:
    """Hundreds of objects, each of which refers to the one before and to the session."""

    def __init__(self, objects):
        self.entries = []
        entry = self
        for number in range(objects // 2):
            entry = {"before": entry, "session": self, "number": [number]}
            self.entries.append(entry)


class Watch(weakref.ref):
    """Counts those that are gone."""

    gone = 0


def is_gone(watch):
    Watch.gone += 1


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main():
    number, kept, objects = [
        int(word) for word in sys.argv[1:] + ["100", "2000"][len(sys.argv) - 2 :]
    ]
    heap = [[index, {}] for index in range(20000)]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    if os.environ.get("LISTEN"):
        select.select([listener], [], [], 0)
    sessions, watches, highest = [], [], 0
    before = gc.get_stats()
    for count in range(number * 30):
        if count >= number and Watch.gone >= GONE:
            break
        sessions.append(Session(objects))
        watches.append(Watch(sessions[-1], is_gone))
        if len(sessions) > kept:
            del sessions[0]
        if SLOW:
            select.select([listener], [], [], float(SLOW))
        if count % 20 == 0:
            highest = max(highest, resident())
    answer = {
        "pid": os.getpid(),
        "dropped": len(watches) - kept,
        "gone": Watch.gone,
        "kept": all(len(session.entries) == objects // 2 for session in sessions),
        "highest": highest,
        "full": gc.get_stats()[2]["collections"] - before[2]["collections"],
        "thresholds": gc.get_threshold(),
        "heap": len(heap),
    }
    print(json.dumps(answer), flush=True)
    if sys.stdin.readline():
        pass
    os._exit(0)


main()
