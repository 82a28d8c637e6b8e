"""Rows of the matrix: what answers over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from matrix_workload import HTTP, KEEP_ALIVE, UNIX, Workload

TCP = "127.0.0.1:{port}"
PYTHON = "{python}"
UWSGI = "/usr/bin/uwsgi_python3"
APACHE = "/usr/sbin/apache2"
MOD_WSGI = "/usr/lib/apache2/modules/mod_wsgi.so"


def _module(*words: str) -> tuple[str, ...]:
    return (PYTHON, "-W", "ignore", "-m", *words)


def _gunicorn(
    version: str,
    name: str,
    kind: str,
    *options: str,
    app: str = "wsgi:app",
    bind: str = TCP,
    env: str = "",
    before: tuple[str, ...] = (),
    fixed: bool = False,
    asked: str = HTTP,
    then: str = "",
    workers: int = 2,
) -> Workload:
    command = _module("gunicorn", *(("-b", bind) if bind else ()), "-k", kind, "-w", str(workers))
    command += ("-t", "0", "--graceful-timeout", "10", *options, app)
    return Workload(
        f"gunicorn {version}",
        name,
        (*before, *command),
        env=env or {"23": "gunicorn", "27": "asgi"}[version],
        package="gunicorn",
        asked=asked,
        workers=workers,
        then=then,
        fixed=fixed,
        since=(3, 7) if version == "23" else (3, 10),
    )


def _gunicorns() -> Iterator[Workload]:
    threads = ("--threads", "4")
    preload = "--preload"
    for kind, options, fixed in (
        ("sync", (), True),
        ("gthread", threads, False),
        ("gevent", (), True),
    ):
        yield _gunicorn("23", kind, kind, *options, fixed=fixed)
        yield _gunicorn("23", f"{kind} --preload", kind, *options, preload, fixed=kind == "sync")
    for name, then in (("USR2", "usr2"), ("HUP", "hup")):
        yield _gunicorn("23", f"sync --preload, {name}", "sync", preload, then=then)
    yield _gunicorn("27", "sync", "sync", fixed=True)
    yield _gunicorn("27", "gthread", "gthread", *threads, fixed=True)
    yield _gunicorn("27", "gthread, keep-alive", "gthread", *threads, asked=KEEP_ALIVE)
    yield _gunicorn("27", "sync --preload", "sync", preload, fixed=True)
    yield _gunicorn("27", "gthread --preload", "gthread", *threads, preload)
    for name, then in (("USR2", "usr2"), ("HUP", "hup")):
        yield _gunicorn("27", f"sync, {name}", "sync", then=then)
        yield _gunicorn(
            "27", f"sync --preload, {name}", "sync", preload, then=then, fixed=then == "usr2"
        )
    yield _gunicorn("27", "sync --preload --reuse-port", "sync", preload, "--reuse-port")
    listens = (PYTHON, "{matrix}/listens.py", "{port}")
    yield _gunicorn(
        "27", "sync --preload, LISTEN_FDS", "sync", preload, bind="", before=listens, fixed=True
    )
    yield _gunicorn("27", "sync, LISTEN_FDS", "sync", bind="", before=listens)
    yield _gunicorn("27", "sync --max-requests", "sync", "--max-requests", "60")
    yield _gunicorn("27", "gthread, Unix socket", "gthread", bind="unix:{socket}", asked=UNIX)
    yield _gunicorn("27", "sync, two addresses", "sync", "-b", "unix:{socket}")
    yield _gunicorn("27", "asgi", "asgi", app="asgi:app", fixed=True)
    vicorn = "uvicorn_worker.UvicornWorker"
    yield _gunicorn("27", "uvicorn worker", vicorn, app="asgi:app")
    yield _gunicorn("27", "uvicorn worker --preload", vicorn, preload, app="asgi:app")
    yield _gunicorn("27", "gevent", "gevent", env="matrix-web")
    yield _gunicorn("27", "gevent pywsgi", "gunicorn.workers.ggevent.GeventPyWSGIWorker",
                    env="matrix-web")  # fmt: skip
    yield _gunicorn("27", "tornado", "tornado", env="matrix-web")
    aiohttp = "aiohttp.GunicornWebWorker"
    yield _gunicorn("27", "aiohttp", aiohttp, app="aiohttp_app:app", env="matrix-web")


def _uvicorns() -> Iterator[Workload]:
    command = _module("uvicorn", "--no-access-log", "--host", "127.0.0.1", "--port", "{port}")
    asyncio, uvloop = ("--loop", "asyncio"), ("--loop", "uvloop")
    listens = (PYTHON, "{matrix}/listens.py", "{port}")
    own = _module("uvicorn", "--no-access-log", *asyncio)

    def row(name: str, words: tuple[str, ...], env: str = "asgi", **more: object) -> Workload:
        return Workload("uvicorn", name, words, env=env, package="uvicorn", **more)  # type: ignore[arg-type]

    app, fast = "asgi:app", "fastapi_app:app"
    two = ("--workers", "2")
    yield row("asyncio", (*command, *asyncio, app), fixed=True)
    yield row("asyncio, keep-alive", (*command, *asyncio, app), asked=KEEP_ALIVE)
    yield row("asyncio --workers 2", (*command, *asyncio, *two, app), workers=2)
    yield row("asyncio --reload", (*command, *asyncio, "--reload", app))
    yield row("asyncio --uds", (*own, "--uds", "{socket}", app), asked=UNIX)
    yield row("asyncio --fd", (*listens, *own, "--fd", "3", app))
    yield row("uvloop", (*command, *uvloop, app), "uvloop", fixed=True)
    yield row("uvloop --workers 2", (*command, *uvloop, *two, app), "uvloop", workers=2)
    for name, loop in (("asyncio", asyncio), ("uvloop", uvloop)):
        yield row(f"{name}, FastAPI in threads", (*command, *loop, fast), "matrix-web",
                  fixed=name == "uvloop")  # fmt: skip


def _loops() -> Iterator[Workload]:
    """Of the environment "loops", mostly as tests/integration/test_known_loops.py has them."""

    def row(name: str, package: str, *words: str, **more: object) -> Workload:
        return Workload("other servers", name, words, env="loops", package=package, **more)  # type: ignore[arg-type]

    def own(name: str, package: str, **more: object) -> Workload:
        words = (PYTHON, "-W", "ignore", "{apps}/known_loops.py", name)
        return row(name, package, *words, says_port=True, **more)

    hypercorn = _module("hypercorn", "-b", TCP)
    for kind in ("asyncio", "uvloop", "trio"):
        yield row(f"hypercorn {kind}", "hypercorn", *hypercorn, "-w", "0", "-k", kind, "asgi:app",
                  fixed=kind == "trio")  # fmt: skip
        yield row(f"hypercorn {kind} -w 2", "hypercorn", *hypercorn, "-w", "2", "-k", kind,
                  "asgi:app", workers=2)  # fmt: skip
    yield row("waitress", "waitress", *_module("waitress", f"--listen={TCP}", "wsgi:app"),
              fixed=True)  # fmt: skip
    yield own("eventlet", "eventlet", fixed=True)
    for name in ("sanic on asyncio", "sanic on uvloop"):
        yield own(name, "sanic")
    sanic = _module("sanic", "sanic_app:app", "--host", "127.0.0.1", "--port", "{port}")
    yield row("sanic --workers 2", "sanic", *sanic, "--workers", "2", workers=2)
    for reactor in ("epoll", "poll", "select", "asyncio"):
        yield own(f"twisted {reactor}", "twisted", fixed=reactor == "epoll")
    twist = _module("twisted", "web", "--listen", "tcp:{port}:interface=127.0.0.1")
    yield row("twist web --wsgi", "twisted", *twist, "--wsgi", "wsgi.app")
    yield own("uvloop in a thread", "uvloop")
    yield own("sock_accept", "")


def _others() -> Iterator[Workload]:
    """Of the environment "matrix-web", or of the standard library."""

    def row(name: str, package: str, *words: str, **more: object) -> Workload:
        env = "matrix-web" if package else ""
        return Workload("other servers", name, words, env=env, package=package, **more)  # type: ignore[arg-type]

    def own(kind: str, name: str, package: str, **more: object) -> Workload:
        words = (PYTHON, "-W", "ignore", "{matrix}/servers.py", kind, "{port}")
        return row(name, package, *words, **more)

    yield own("aiohttp", "aiohttp", "aiohttp")
    yield own("tornado", "tornado", "tornado")
    yield own("tornado-fork", "tornado, two processes", "tornado", workers=2)
    yield own("cheroot", "cheroot", "cheroot", fixed=True)
    yield own("cherrypy", "CherryPy", "cherrypy")
    yield own("gevent", "gevent.pywsgi", "gevent")
    yield row(
        "daphne", "daphne", *_module("daphne"), "-b", "127.0.0.1", "-p", "{port}", "asgi:app"
    )
    granian = _module("granian", "--host", "127.0.0.1", "--port", "{port}")
    for kind, more in (("asgi", ()), ("wsgi", ("--blocking-threads", "2"))):
        words = (*granian, "--interface", kind, *more, f"{kind}:app")
        yield row(f"granian {kind}", "granian", *words, fixed=True)
    words = _module("flask", "--app", "flask_app", "run", "--port", "{port}")
    yield row("Flask's development server", "flask", *words)
    django = (PYTHON, "-W", "ignore", "{matrix}/django_app.py", "runserver", TCP)
    yield row("Django's runserver", "django", *django)
    yield row("Django's runserver --noreload", "django", *django, "--noreload")
    bjoern = own("bjoern", "bjoern", "")
    yield Workload(**{**vars(bjoern), "env": "matrix-bjoern", "package": "bjoern"})
    yield own("wsgiref", "wsgiref", "")
    yield own("threading", "http.server, a thread a request", "", fixed=True)
    yield own("streams", "asyncio.start_server", "")


def _uwsgis() -> Iterator[Workload]:
    base = (UWSGI, "--master", "--die-on-term", "--need-app", "--module", "wsgi:app")
    base += ("--pythonpath", "{apps}")
    http = ("--http-socket", TCP)
    two = ("--processes", "2")
    threads = ("--enable-threads", "--threads", "2")
    lazy = ("--lazy-apps",)

    def row(name: str, *options: str, workers: int = 2, **more: object) -> Workload:
        return Workload(
            "uWSGI of Debian",
            name,
            (*base, *options),
            files=(UWSGI,),
            system_only=True,
            workers=workers,
            **more,  # type: ignore[arg-type]
        )

    yield row("prefork", *http, *two, fixed=True)
    yield row("--lazy-apps", *http, *two, *lazy)
    yield row("--threads", *http, *two, *threads)
    yield row("--lazy-apps --threads", *http, *two, *lazy, *threads)
    yield row("one process", *http, workers=1)
    yield row("--http, a router", "--plugins", "http", "--http", TCP, *two)
    yield row("prefork, SIGHUP", *http, *two, then="hup", fixed=True)
    yield row("--lazy-apps, SIGHUP", *http, *two, *lazy, then="hup")
    yield row("--max-requests", *http, *two, "--max-requests", "60")
    yield row("--cheaper", *http, "--processes", "3", "--cheaper", "1", workers=1)
    yield row("--reuse-port", *http, *two, "--reuse-port")
    yield row("--thunder-lock --threads", *http, *two, *threads, "--thunder-lock")


def _apaches() -> Iterator[Workload]:
    for name, options in (("embedded", ()), ("daemon", ("-DDaemon",))):
        yield Workload(
            "mod_wsgi of Debian",
            name,
            (APACHE, "-f", "{matrix}/apache.conf", "-DFOREGROUND", *options),
            files=(APACHE, MOD_WSGI),
            system_only=True,
            other_user=True,
            workers=2 if options else 1,
            fixed=bool(options),
        )


def rows() -> list[Workload]:
    return [
        *_gunicorns(),
        *_uvicorns(),
        *_loops(),
        *_others(),
        *_uwsgis(),
        *_apaches(),
    ]
