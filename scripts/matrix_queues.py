"""Rows of the matrix: what does not speak HTTP. Task queues, calls, kernels, consumers, pools."""

from __future__ import annotations

from collections.abc import Iterator

from matrix_workload import LINES, Missing, Workload

PYTHON = "{python}"
MODULE = (PYTHON, "-W", "ignore", "-m")


def _queue(
    group: str, name: str, package: str, asker: str, *words: str, **more: object
) -> Workload:
    more = {"env": "matrix-queues", "redis": True, **more}
    return Workload(group, name, words, package=package, asked=LINES, asker=asker, **more)  # type: ignore[arg-type]


def _celeries() -> Iterator[Workload]:
    words = (*MODULE, "celery", "-A", "celery_app", "worker", "-l", "ERROR")
    words += ("--without-gossip", "--without-mingle")
    for pool, options, workers in (
        ("prefork", ("-c", "2"), 2),
        ("prefork --autoscale", ("--autoscale", "3,1"), 1),
        ("prefork, beat", ("-c", "2", "-B"), 2),
        ("prefork --max-tasks-per-child", ("-c", "2", "--max-tasks-per-child", "60"), 2),
        ("solo", (), 1),
        ("threads", ("-c", "2"), 1),
        ("gevent", ("-c", "4"), 1),
        ("eventlet", ("-c", "4"), 1),
    ):
        kind = pool.replace(",", " ").split()[0]
        yield _queue(
            "Celery", pool, "celery", "celery_app", *words, "-P", kind, *options,
            workers=workers, fixed=pool in ("prefork", "threads"),
        )  # fmt: skip


def _other_queues() -> Iterator[Workload]:
    rq = (*MODULE, "rq.cli", "worker", "-q", "--url", "{redis}")
    yield _queue("rq", "worker, a process a job", "rq", "rq_app", *rq, leader_counts=True,
                 fixed=True)  # fmt: skip
    simple = (*rq, "--worker-class", "rq.worker.SimpleWorker")
    yield _queue("rq", "SimpleWorker", "rq", "rq_app", *simple)
    yield _queue("dramatiq", "two processes, two threads", "dramatiq", "dramatiq_app",
                 *MODULE,
        "dramatiq", "dramatiq_app", "-p", "2", "-t", "2", workers=2,
                 fixed=True)  # fmt: skip
    for kind in ("thread", "process", "greenlet"):
        yield _queue("huey", f"-k {kind}", "huey", "huey_app", *MODULE,
            "huey.bin.huey_consumer",
                     "huey_app.huey", "-w", "2", "-k", kind,
                     workers=2 if kind == "process" else 1)  # fmt: skip
    yield _queue("arq", "worker", "arq", "arq_app", *MODULE,
        "arq", "arq_app.WorkerSettings",
                 env="matrix-arq", fixed=True)  # fmt: skip


def _calls() -> Iterator[Workload]:
    def row(
        group: str, name: str, package: str, asker: str, *words: str, **more: object
    ) -> Workload:
        more = {"env": "matrix-rpc", "redis": False, **more}
        return _queue(group, name, package, asker, PYTHON, "-W", "ignore", *words, **more)

    for name in ("sync", "aio"):
        yield row("gRPC", name, "grpcio", "grpc_app", "{matrix}/grpc_app.py", name, fixed=True)
    for name in ("recv", "poll", "asyncio"):
        yield row("ZeroMQ", f"REP, {name}", "pyzmq", "zmq_app", "{matrix}/zmq_app.py", name,
                  fixed=name == "poll")  # fmt: skip
    yield row("Jupyter", "ipykernel", "ipykernel", "kernel_app", "-m", "ipykernel_launcher", "-f",
              "{place}/kernel.json", fixed=True)  # fmt: skip


def _consumers() -> Iterator[Workload]:
    def row(kind: str, name: str, asker: str = "", **more: object) -> Workload:
        words = (PYTHON, "-W", "ignore", "{matrix}/jobs.py", kind)
        more = {"env": "", "redis": False, **more}
        return _queue("consumers", name, str(more.pop("package", "")), asker, *words, **more)

    yield row("pipe", "read on a pipe", fixed=True)
    yield row("queue", "queue.get, filled by a thread", fixed=True)
    yield row("thread", "a thread works, the main thread joins it")
    yield row("sleep", "time.sleep between two looks")
    yield row("udp", "recvfrom of datagrams", "udp_client")
    yield row("asyncio", "asyncio, a client", "stream_server")
    redis = {"env": "matrix-queues", "package": "redis", "redis": True}
    yield row("blpop", "BLPOP of redis", "redis_client", **redis, fixed=True)
    yield row("pubsub", "subscribed to redis", "redis_client", **redis)
    yield row("apscheduler", "APScheduler, blocking", env="matrix-queues", package="apscheduler")


def _pools() -> Iterator[Workload]:
    def row(kind: str, name: str, **more: object) -> Workload:
        words = (PYTHON, "-W", "ignore", "{matrix}/jobs.py", kind)
        more = {"env": "", "redis": False, "serves": False, "workers": 2, **more}
        return _queue("pools", name, str(more.pop("package", "")), "", *words, **more)

    for method in ("fork", "spawn", "forkserver"):
        yield row(f"pool-{method}", f"multiprocessing.Pool, {method}", fixed=method == "fork")
    for method in ("fork", "spawn", "forkserver"):
        yield row(f"executor-{method}", f"ProcessPoolExecutor, {method}")
    yield row("joblib", "joblib", env="matrix-rpc", package="joblib")
    yield row("process-each", "a multiprocessing.Process for each job", leader_counts=True)


def rows() -> list[Workload]:
    return [*_celeries(), *_other_queues(), *_calls(), *_consumers(), *_pools()]


MISSING = [
    Missing(
        "other servers", "meinheld", "Python 3.8 or older: its last release builds on no other"
    ),
    Missing("consumers", "Kafka, RabbitMQ", "a broker that is no Debian or Python package"),
    Missing("model servers", "Ray Serve, vLLM, Triton", "packages of gigabytes, and accelerators"),
    Missing("mod_wsgi of Debian", "on other Pythons than Debian's", "mod_wsgi built for each"),
]
