"""Jobs of an arq worker."""

import asyncio
import os

from arq import create_pool
from arq.connections import RedisSettings
from work import work

SETTINGS = RedisSettings.from_dsn(os.environ["MATRIX_REDIS"])


async def serve(context, number):
    return work(number)


class WorkerSettings:
    functions = (serve,)
    redis_settings = SETTINGS
    poll_delay = 0.02


class Client:
    """Of a loop that runs while somebody waits."""

    loop = None
    pool = None


def send(number):
    if not Client.loop:
        Client.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(Client.loop)
        Client.pool = Client.loop.run_until_complete(create_pool(SETTINGS))
    wait = Client.loop.run_until_complete
    job = wait(Client.pool.enqueue_job("serve", number))
    return lambda: wait(job.result(timeout=60, poll_delay=0.02))
