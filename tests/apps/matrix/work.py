"""What a task, a message or a call asks for: the work of wsgi.py's /job, by a process that keeps
wsgi.py's heap."""

import os

from wsgi import job


def work(number):
    answer = {"pid": os.getpid()}
    answer.update(job({"n": [str(number)]}))
    return answer
