"""The application of wsgi.py, for ASGI servers."""

import json
import os
from urllib.parse import parse_qs

from wsgi import ANSWERS


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    answer = ANSWERS.get(scope["path"])
    if answer is None:
        body = b"hello from %d\n" % os.getpid()
    else:
        fields = {"pid": os.getpid()}
        fields.update(answer(parse_qs(scope["query_string"].decode())))
        body = json.dumps(fields).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
