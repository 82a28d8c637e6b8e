"""The application of wsgi.py on servers with loops of their own. Its argument says on which.

Says where it listens. Each answers "/" and the paths of wsgi.py over HTTP, but pyftpdlib: there
NOOP leaves garbage, and says hello.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from urllib.parse import urlsplit

import wsgi


def answer(path):
    """As wsgi.py's, of a request's path."""
    parts = urlsplit(path)
    environ = {"PATH_INFO": parts.path, "QUERY_STRING": parts.query}
    return b"".join(wsgi.app(environ, lambda *_: None))


def response(request):
    """What a server that only knows bytes sends back."""
    body = answer(request.split()[1].decode())
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    listener.setblocking(False)
    return listener


def says(port):
    print("127.0.0.1 port", port, flush=True)


def until_stopped(loop):
    """SIGTERM ends it, and its exit status is 0."""
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    return stopped.wait()


def on_sock_accept():
    async def talk(loop, client):
        with client:
            await loop.sock_sendall(client, response(await loop.sock_recv(client, 4096)))

    async def serve(loop, listener):
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            await talk(loop, client)

    async def main():
        loop = asyncio.get_running_loop()
        listener = listening()
        says(listener.getsockname()[1])
        serving = loop.create_task(serve(loop, listener))
        await until_stopped(loop)
        serving.cancel()

    asyncio.run(main())


def on_uvloop_in_a_thread():
    """The main thread only waits for the end, in C."""
    import uvloop

    async def talk(reader, writer):
        writer.write(response(await reader.read(4096)))
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        says(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    def run():
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=run, daemon=True).start()
    signal.sigwait([signal.SIGTERM])


def on_eventlet():
    import eventlet
    import eventlet.wsgi

    listener = eventlet.listen(("127.0.0.1", 0))
    says(listener.getsockname()[1])

    def stop(number, frame):
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    eventlet.wsgi.server(listener, wsgi.app, log_output=False)


def on_sanic(uvloop):
    from sanic import Sanic
    from sanic.response import raw

    app = Sanic("demo", configure_logging=False)
    app.config.USE_UVLOOP = uvloop
    app.config.MOTD = False
    listener = listening()

    @app.get("/<path:path>")
    async def any_path(request, path):
        query = request.query_string
        return raw(answer("/" + path + ("?" + query if query else "")))

    @app.after_server_start
    async def started(app):
        says(listener.getsockname()[1])

    app.run(sock=listener, single_process=True, access_log=False)


def on_twisted(reactor_name):
    from twisted.internet import asyncioreactor, epollreactor, pollreactor, selectreactor

    kinds = {
        "asyncio": asyncioreactor,
        "epoll": epollreactor,
        "poll": pollreactor,
        "select": selectreactor,
    }
    kinds[reactor_name].install()
    from twisted.internet import reactor
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    class All(Resource):
        isLeaf = True

        def render_GET(self, request):
            return answer(request.uri.decode())

    port = reactor.listenTCP(0, Site(All()), interface="127.0.0.1")
    says(port.getHost().port)
    reactor.run()


def on_pyftpdlib():
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    class Handler(FTPHandler):
        authorizer = DummyAuthorizer()

        def ftp_NOOP(self, line):
            answer("/cycles?n=5500")
            self.respond("200 hello from %d" % os.getpid())

    Handler.authorizer.add_anonymous("/")
    server = FTPServer(listening(), Handler)
    says(server.address[1])

    def stop(number, frame):
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(handle_exit=False)


KINDS = {
    "sock_accept": on_sock_accept,
    "uvloop in a thread": on_uvloop_in_a_thread,
    "eventlet": on_eventlet,
    "sanic on asyncio": lambda: on_sanic(False),
    "sanic on uvloop": lambda: on_sanic(True),
    "twisted asyncio": lambda: on_twisted("asyncio"),
    "twisted epoll": lambda: on_twisted("epoll"),
    "twisted poll": lambda: on_twisted("poll"),
    "twisted select": lambda: on_twisted("select"),
    "pyftpdlib": on_pyftpdlib,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
