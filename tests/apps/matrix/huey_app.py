"""Tasks of a huey consumer."""

import os

from huey import RedisHuey
from work import work

huey = RedisHuey("matrix", url=os.environ["MATRIX_REDIS"])


@huey.task()
def serve(number):
    return work(number)


def send(number):
    result = serve(number)
    return lambda: result.get(blocking=True, timeout=60, max_delay=0.05)
