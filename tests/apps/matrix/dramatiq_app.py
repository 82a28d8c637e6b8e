"""Actors of dramatiq."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from work import work

broker = RedisBroker(url=os.environ["MATRIX_REDIS"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["MATRIX_REDIS"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def serve(number):
    return work(number)


def send(number):
    message = serve.send(number)
    return lambda: message.get_result(block=True, timeout=60000)
