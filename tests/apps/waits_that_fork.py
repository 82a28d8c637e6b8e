"""A server with a finalizer that forks, in the collection at its first wait. Says which signals
are blocked in the child, and in the server after the wait. Argument: fork; program, for a child
that is another program; thread, for a thread instead of a child."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading

PROGRAM = """
import signal
print("child", sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))
"""


class Forks:
    def __init__(self):
        self.me = self

    def __del__(self):
        if sys.argv[1] == "program":
            subprocess.run([sys.executable, "-c", PROGRAM], check=True)
        elif sys.argv[1] == "thread":
            thread = threading.Thread(target=tell, args=("child",))
            thread.start()
            thread.join()
        else:
            self.forks()

    def forks(self):
        pid = os.fork()
        if not pid:
            tell("child")
            os._exit(0)
        os.waitpid(pid, 0)


def tell(who):
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.write(1, "{} {}\n".format(who, sorted(map(int, blocked))).encode())


gc.callbacks.append(lambda phase, info: None)  # signals are kept off then
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
Forks()
select.select([listener], [], [], 0.01)
tell("server")
