"""A web server that can become itself again by os.execv, its socket kept open."""

import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello again" if len(sys.argv) > 1 else b"hello")
        self.wfile.flush()
        if self.path == "/exec":
            fd = str(self.server.socket.fileno())
            self.connection.shutdown(socket.SHUT_RDWR)
            os.set_inheritable(self.server.socket.fileno(), True)
            os.execv(sys.executable, [sys.executable, __file__, fd])

    def log_message(self, *words):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=len(sys.argv) < 2)
if len(sys.argv) > 1:
    server.socket.close()
    server.socket = socket.socket(fileno=int(sys.argv[1]))
print("127.0.0.1 port", server.socket.getsockname()[1])
server.serve_forever()
