"""Listens, and becomes the rest of its arguments, as systemd starts a server with a socket.

listens.py PORT COMMAND...    descriptor 3 is the socket
"""

import os
import socket
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(100)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)  # it may have been 3 already
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
