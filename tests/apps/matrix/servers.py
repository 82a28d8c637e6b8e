"""The application of wsgi.py on servers that are started by a few lines of Python.

servers.py KIND PORT
"""

import asyncio
import json
import signal
import sys

import wsgi
from work import work

PORT = int(sys.argv[2])
ADDRESS = ("127.0.0.1", PORT)


def on_aiohttp():
    from aiohttp import web

    async def job(request):
        return web.json_response(work(int(request.query["n"])))

    app = web.Application()
    app.router.add_get("/job", job)
    web.run_app(app, host=ADDRESS[0], port=PORT, access_log=None, print=None)


def on_tornado(processes):
    from tornado import httpserver, ioloop, netutil, process, web

    class Job(web.RequestHandler):
        def get(self):
            self.write(work(int(self.get_argument("n"))))

    sockets = netutil.bind_sockets(PORT, ADDRESS[0])
    if processes > 1:
        process.fork_processes(processes)
    server = httpserver.HTTPServer(web.Application([("/job", Job)]))
    server.add_sockets(sockets)
    ioloop.IOLoop.current().start()


def on_cheroot():
    from cheroot.wsgi import Server

    def stop(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    Server(ADDRESS, wsgi.app).start()


def on_cherrypy():
    import cherrypy

    class Root:
        @cherrypy.expose
        def job(self, n):
            return json.dumps(work(int(n))).encode()

    cherrypy.config.update(
        {
            "server.socket_host": ADDRESS[0],
            "server.socket_port": PORT,
            "engine.autoreload.on": False,
            "log.screen": False,
        }
    )
    cherrypy.quickstart(Root())


def on_gevent():
    from gevent import monkey

    monkey.patch_all()
    import gevent
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(ADDRESS, wsgi.app, log=None)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()


def on_bjoern():
    import bjoern

    bjoern.run(wsgi.app, ADDRESS[0], PORT)


def on_wsgiref():
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    make_server(ADDRESS[0], PORT, wsgi.app, handler_class=Quiet).serve_forever()


def on_threading():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import parse_qs, urlsplit

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            (number,) = parse_qs(urlsplit(self.path).query)["n"]
            body = json.dumps(work(int(number))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(ADDRESS, Handler).serve_forever()


def on_streams():
    async def talk(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        number = int(head.split(b"n=")[1].split()[0])
        body = json.dumps(work(number)).encode()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def serve():
        async with await asyncio.start_server(talk, *ADDRESS) as server:
            await server.serve_forever()

    asyncio.run(serve())


KINDS = {
    "aiohttp": on_aiohttp,
    "tornado": lambda: on_tornado(1),
    "tornado-fork": lambda: on_tornado(2),
    "cheroot": on_cheroot,
    "cherrypy": on_cherrypy,
    "gevent": on_gevent,
    "bjoern": on_bjoern,
    "wsgiref": on_wsgiref,
    "threading": on_threading,
    "streams": on_streams,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
