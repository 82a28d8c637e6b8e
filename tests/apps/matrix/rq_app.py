"""Jobs of an rq worker; it knows work.work by its name."""

import os
import time

from redis import Redis
from rq import Queue

QUEUE = Queue(connection=Redis.from_url(os.environ["MATRIX_REDIS"]))


def send(number):
    job = QUEUE.enqueue("work.work", number)

    def get():
        while job.get_status(refresh=True) not in ("finished", "failed"):
            time.sleep(0.01)
        return job.return_value()

    return get
