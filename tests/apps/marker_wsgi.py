"""wsgi.py with a latch, whose requests leave cycles: enough for a mark each."""

from marker_latch import one_collection
from wsgi import app as plain


def app(environ, start_response):
    if environ["PATH_INFO"] == "/cycles":
        one_collection()
    return plain(environ, start_response)
