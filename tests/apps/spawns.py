"""Starts processes by multiprocessing, the last word says how, and another Python; says of each
what it is and how many callbacks its collector has. Then it waits until its input ends."""

import gc
import json
import multiprocessing
import os
import subprocess
import sys


def look(pipe, context, deeper):
    pipe.send((os.getpid(), len(gc.callbacks)))
    if deeper:
        begin(context, pipe, deeper - 1)
    pipe.recv()


def begin(method, pipe, deeper):
    context = multiprocessing.get_context(method)
    process = context.Process(target=look, args=(pipe, method, deeper))
    process.start()
    return process


def main():
    ours, theirs = multiprocessing.Pipe()
    begin(sys.argv[1], theirs, 1)
    told = [ours.recv(), ours.recv()]
    other = [sys.executable, "-c", "import gc; print(len(gc.callbacks))"]
    said = {
        "parent": len(gc.callbacks),
        "child": told[0][1],
        "grandchild": told[1][1],
        "subprocess": int(subprocess.check_output(other)),
        "pid": told[1][0],
    }
    print(json.dumps(said), flush=True)
    sys.stdin.read()
    ours.send(None)
    ours.send(None)


if __name__ == "__main__":
    main()
