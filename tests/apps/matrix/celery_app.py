"""Tasks of a Celery worker."""

import os

from celery import Celery
from work import work

URL = os.environ["MATRIX_REDIS"]
app = Celery("celery_app", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = {"tick": {"task": "celery_app.tick", "schedule": 1.0}}
app.conf.beat_schedule_filename = os.path.join(os.environ["MATRIX_PLACE"], "beat")


@app.task
def serve(number):
    return work(number)


@app.task(ignore_result=True)
def tick():
    pass


def send(number):
    result = serve.delay(number)
    return lambda: result.get(timeout=60)
