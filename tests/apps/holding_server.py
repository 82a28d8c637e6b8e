"""A server whose requests each leave something in a cycle: a file, or a megabyte.

Few objects come with it, so that the interpreter's thresholds say nothing. Answers a line of
JSON: what went wrong, and its highest memory in MB.
"""

import gc
import json
import resource
import select
import socket
import sys


class Response:
    pass


def file(response):
    response.body = open("/dev/null")


def megabyte(response):
    response.body = bytearray(b"x" * 1000000)


def request(hold):
    response = Response()
    hold(response)
    response.me = response


def main():
    hold, number, files = globals()[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    heap = [[index] for index in range(50000)]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    waits = select.epoll()
    waits.register(listener, select.EPOLLIN)
    wrong = ""
    for index in range(number):
        waits.poll(0.001)
        try:
            request(hold)
        except OSError as error:
            wrong = "request %d: %s" % (index, error)
            break
    del heap
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"wrong": wrong, "mb": most, "thresholds": gc.get_threshold()}))


if __name__ == "__main__":
    main()
