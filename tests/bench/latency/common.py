"""What the latency benchmark's applications share: a heap as services have it, and the recipe.

LATENCY_OBJECTS  how many objects the collector tracks when the application is loaded, about
LATENCY_GC       recipe: the published lines, as people write them into their application;
                 disable: gc.disable(); else nothing
"""

import gc
import os
import sqlite3
import tempfile
from pathlib import Path

OBJECTS = int(os.environ.get("LATENCY_OBJECTS", "300000"))
GC = os.environ.get("LATENCY_GC", "")
WORDS = """
amber basil beacon birch breeze canvas cedar cherry clover copper coral crystal delta
drift dune ember falcon fern flint frost ginger granite harbor hazel indigo ivory jasper juniper
lantern laurel lilac linen maple marble meadow mint oak ocean olive onyx opal orchid pearl pebble
pine plum quartz raven reed ridge river robin ruby sage sand shell silver slate spruce summit
""".split()
KEPT = []


def tracked():
    """gc.get_objects() alone may not see what a master froze before it forked."""
    seen = len(gc.get_objects())
    return seen if seen >= gc.get_freeze_count() else seen + gc.get_freeze_count()


def heap():
    """Packages that services import, and the models of cloud services until it is large enough."""
    if tracked() >= OBJECTS:
        return
    import botocore.session
    import pandas
    import sympy
    from babel import Locale

    KEPT.extend([pandas, sympy])
    KEPT.extend(Locale(name)._data._data for name in ("en", "de", "fr", "ru", "ar", "zh"))
    loader = botocore.session.get_session().get_component("data_loader")
    for kind in ("service-2", "paginators-1", "waiters-2", "examples-1"):
        for number, name in enumerate(loader.list_available_services(kind)):
            if number % 10 == 0 and tracked() >= OBJECTS:
                return
            for version in loader.list_api_versions(name, kind):
                KEPT.append(loader.load_service_model(name, kind, version))


def tune():
    """At the end of loading, before the first request."""
    if GC == "recipe":
        gc.collect(2)
        gc.freeze()
        gc.set_threshold(50_000, *gc.get_threshold()[1:])
    elif GC == "disable":
        gc.disable()


def served(work):
    """A WSGI and an ASGI application that answer with what work() returns."""

    def app(environ, start_response):
        body = work().encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            return
        body = work().encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return app, asgi


def database():
    """Books of authors with reviews, in a file that ends with the process that made it."""
    place = os.environ.get("LATENCY_DIR") or tempfile.mkdtemp(prefix="gcpreload-latency-")
    path = Path(place) / f"books-{os.getpid()}.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        PRAGMA journal_mode = MEMORY;
        CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, price INTEGER,
                           author_id INTEGER REFERENCES author);
        CREATE TABLE review (id INTEGER PRIMARY KEY, stars INTEGER, text TEXT,
                             book_id INTEGER REFERENCES book);
        CREATE INDEX book_author ON book (author_id);
        CREATE INDEX review_book ON review (book_id);
        """
    )
    number = len(WORDS)
    connection.executemany("INSERT INTO author VALUES (?, ?)", list(enumerate(WORDS)))
    books = [
        (i, f"{WORDS[i % number]} {WORDS[i * 7 % number]}", i * 37 % 9000, i % number)
        for i in range(number * 8)
    ]
    connection.executemany("INSERT INTO book VALUES (?, ?, ?, ?)", books)
    reviews = [(i, i % 5 + 1, WORDS[i * 11 % number], i // 3) for i in range(len(books) * 3)]
    connection.executemany("INSERT INTO review VALUES (?, ?, ?, ?)", reviews)
    connection.commit()
    connection.close()
    return str(path)
