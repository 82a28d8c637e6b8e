"""Numbers come in lines of the pipe MATRIX_IN; for each a line of JSON goes to MATRIX_OUT.

talk.py MODULE    sends each number by MODULE.send(number), which gives a function that waits
                  for the answer: a client of what scripts/matrix looks at
"""

import importlib
import json
import os
import sys


def batches():
    """Lists of numbers that came together."""
    pipe = os.open(os.environ["MATRIX_IN"], os.O_RDONLY)
    rest = b""
    while True:
        chunk = os.read(pipe, 4096)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [int(line) for line in lines]


def numbers():
    for batch in batches():
        yield from batch


def tell(answer):
    """One write: what several processes say stays apart."""
    pipe = os.open(os.environ["MATRIX_OUT"], os.O_WRONLY)
    os.write(pipe, json.dumps(answer).encode() + b"\n")
    os.close(pipe)


def main():
    send = importlib.import_module(sys.argv[1]).send
    for batch in batches():
        for get in [send(number) for number in batch]:
            tell(get())


if __name__ == "__main__":
    main()
