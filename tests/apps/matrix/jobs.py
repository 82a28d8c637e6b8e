"""Programs that do work and never listen. The argument says which, and how they wait for it."""

import asyncio
import functools
import json
import multiprocessing
import os
import queue
import select
import socket
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

from talk import batches, numbers, tell
from work import work

PORT = int(os.environ["MATRIX_PORT"])


def on_pipe():
    for number in numbers():
        tell(work(number))


def on_queue():
    """The main thread waits for a lock that another one gives back."""
    waiting = queue.Queue()

    def read():
        for number in numbers():
            waiting.put(number)

    threading.Thread(target=read, daemon=True).start()
    while True:
        tell(work(waiting.get()))


def on_thread():
    """The main thread only waits for the one that works."""
    thread = threading.Thread(target=on_pipe, daemon=True)
    thread.start()
    thread.join()


def on_sleep():
    """Looks now and then."""
    pipe = os.open(os.environ["MATRIX_IN"], os.O_RDONLY)
    while True:
        time.sleep(0.01)
        if select.select([pipe], [], [], 0)[0]:
            for line in os.read(pipe, 4096).split():
                tell(work(int(line)))


def on_apscheduler():
    from apscheduler.schedulers.blocking import BlockingScheduler

    pipe = os.open(os.environ["MATRIX_IN"], os.O_RDONLY)

    def look():
        if select.select([pipe], [], [], 0)[0]:
            for line in os.read(pipe, 4096).split():
                tell(work(int(line)))

    scheduler = BlockingScheduler()
    scheduler.add_job(look, "interval", seconds=0.05, max_instances=1)
    scheduler.start()


def on_udp():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", PORT))
    while True:
        data, who = one.recvfrom(100)
        one.sendto(json.dumps(work(int(data))).encode(), who)


def redis():
    from redis import Redis

    return Redis.from_url(os.environ["MATRIX_REDIS"])


def on_blpop():
    client = redis()
    client.set("takes lists", 1)
    while True:
        _, number = client.blpop("list")
        client.rpush("answers:%d" % int(number), json.dumps(work(int(number))))


def on_pubsub():
    client = redis()
    messages = client.pubsub(ignore_subscribe_messages=True)
    messages.subscribe("channel")
    for message in messages.listen():
        number = int(message["data"])
        client.rpush("answers:%d" % number, json.dumps(work(number)))


def on_asyncio():
    """A client of stream_server.py."""

    async def connected():
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", PORT)
            except OSError:
                await asyncio.sleep(0.1)

    async def serve():
        reader, writer = await connected()
        while True:
            line = await reader.readline()
            if not line:
                return
            writer.write(json.dumps(work(int(line))).encode() + b"\n")
            await writer.drain()

    asyncio.run(serve())


def on_pool(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        for batch in batches():
            for answer in [pool.apply_async(work, (number,)) for number in batch]:
                tell(answer.get())


def on_executor(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for batch in batches():
            for answer in [pool.submit(work, number) for number in batch]:
                tell(answer.result())


def on_joblib():
    from joblib import Parallel, delayed

    with Parallel(n_jobs=2) as parallel:
        for batch in batches():
            for answer in parallel(delayed(work)(number) for number in batch):
                tell(answer)


def on_process_each():
    """A process for each job, as schedulers make them."""
    for number in numbers():
        child = multiprocessing.get_context("fork").Process(target=tell_work, args=(number,))
        child.start()
        child.join()


def tell_work(number):
    tell(work(number))


KINDS = {
    "pipe": on_pipe,
    "queue": on_queue,
    "thread": on_thread,
    "sleep": on_sleep,
    "apscheduler": on_apscheduler,
    "udp": on_udp,
    "blpop": on_blpop,
    "pubsub": on_pubsub,
    "asyncio": on_asyncio,
    "joblib": on_joblib,
    "process-each": on_process_each,
}
for METHOD in ("fork", "spawn", "forkserver"):
    KINDS["pool-" + METHOD] = functools.partial(on_pool, METHOD)
    KINDS["executor-" + METHOD] = functools.partial(on_executor, METHOD)

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
