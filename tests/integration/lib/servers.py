"""Every kind of server under test: how it is started, and what its processes must show."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from venvs import Interpreter, venv

from lib.paths import APPS
from lib.run import environment, wait_for
from lib.server import Server

UWSGI = Path("/usr/bin/uwsgi_python3")


class UwsgiServer(Server):
    """uWSGI says its address in words of its own."""

    def _find_port(self) -> int | None:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}")
        found = re.search(r"bound to TCP address 127\.0\.0\.1:(\d+)", self.output())
        return int(found[1]) if found else None


class UvicornServer(Server):
    """It says its address before its workers listen."""

    def _answers(self) -> bool:
        try:
            return super()._answers()
        except ConnectionRefusedError:
            return False


class FileServer(Server):
    """python -m http.server: it shows the directory, and tells its numbers on a signal."""

    def _answers(self) -> bool:
        return "wsgi.py" in self.get("/")

    def json(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON has
        """Of /state and /stats alike; any other path is only asked for."""
        if path not in ("/state", "/stats"):
            self.get("/")
            return {"pid": self.pid}
        into = Path(self.env["TELL_INTO"])
        into.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        return json.loads(wait_for("the numbers", lambda: into.exists() and into.read_text()))


@dataclass(frozen=True)
class Kind:
    """A server, in one way of running it."""

    name: str
    start: Callable[[Interpreter, Path], Server]
    fired: tuple[str, ...]  # what may show that a worker is ready
    env: str | None = None  # of scripts/requirements
    workers: int = 2  # 0: the process that was started serves itself
    parent: bool = False  # it listens, then forks them
    preloads: bool = False  # it loads the application before it forks
    may_stop: bool = True  # its parent bears a worker that does not answer for a while
    ends: tuple[int, ...] = (0,)  # with which status, after SIGTERM
    system_only: bool = False  # comes with the distribution's own Python

    def __str__(self) -> str:
        return self.name

    def possible(self, python: Interpreter) -> str:
        """Why not on that interpreter; empty where it is."""
        if self.system_only and not python.is_system:
            return "it is built for the distribution's own Python"
        if self.system_only and not UWSGI.exists():
            return f"{UWSGI} is not installed"
        try:
            if self.env:
                venv(self.env, python)
        except subprocess.CalledProcessError as error:
            return f"scripts/requirements/{self.env}.txt cannot be installed: {error}"
        return ""


def _gunicorn(kind: str, env: str, *options: str) -> Callable[[Interpreter, Path], Server]:
    def start(python: Interpreter, ring_dir: Path) -> Server:
        app = "asgi:app" if "vicorn" in kind else "wsgi:app"
        worker = kind
        if "vicorn" in kind and python.minor < (3, 8):
            worker = "uvicorn.workers.UvicornWorker"  # no package of its own yet
        command = [venv(env, python), "-m", "gunicorn", "-b", "127.0.0.1:0", "-k", worker]
        command += ["-w", "2", "-t", "0", "--graceful-timeout", "20", *options, app]
        return Server(command, environment(ring_dir))

    return start


def _uvicorn(env: str, *options: str) -> Callable[[Interpreter, Path], Server]:
    def start(python: Interpreter, ring_dir: Path) -> Server:
        command = [venv(env, python), "-m", "uvicorn", "--port", "0", "--no-access-log"]
        return UvicornServer([*command, *options, "asgi:app"], environment(ring_dir))

    return start


def _uwsgi(*options: str) -> Callable[[Interpreter, Path], Server]:
    def start(python: Interpreter, ring_dir: Path) -> Server:
        command = [UWSGI, "--http-socket", "127.0.0.1:0", "--master", "--processes", "2"]
        command += ["--die-on-term", "--need-app", "--pythonpath", APPS, "--module", "wsgi:app"]
        return UwsgiServer([*command, *options], environment(ring_dir))

    return start


def _http_server(python: Interpreter, ring_dir: Path) -> Server:
    command = [python.path, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    settings = {"PYTHONPATH": str(APPS / "tell_on_signal"), "TELL_INTO": str(ring_dir / "told")}
    return FileServer(command, environment(ring_dir, **settings))


def _gunicorns() -> Iterator[Kind]:
    workers = [
        ("sync", "sync", "gunicorn", "auto: select", []),
        ("gthread", "gthread", "gunicorn", "auto: epoll", ["--threads", "4"]),
        ("gevent", "gevent", "gunicorn", "auto: epoll", []),
        ("uvicorn", "uvicorn_worker.UvicornWorker", "asgi", "auto: epoll", []),
    ]
    for name, kind, env, fired, options in workers:
        for more in ([], ["--preload"]):
            yield Kind(
                " ".join(["gunicorn", name, *more]),
                _gunicorn(kind, env, *options, *more),
                # A client that is there already is accepted before the first wait.
                ("auto: select", "auto: accept") if kind == "sync" else (fired,),
                env,
                parent=True,
                preloads=bool(more),
            )


def _uwsgis() -> Iterator[Kind]:
    for options in (
        [],
        ["--enable-threads"],
        ["--lazy-apps"],
        ["--lazy-apps", "--enable-threads"],
    ):
        yield Kind(
            " ".join(["uwsgi", *options]),
            _uwsgi(*options),
            ("auto: epoll",),
            parent=True,
            preloads="--lazy-apps" not in options,
            system_only=True,
        )


def _uvicorns() -> Iterator[Kind]:
    asyncio, uvloop = ["--loop", "asyncio"], ["--loop", "uvloop"]
    epoll, libuv = "auto: epoll", "auto: listen, then epoll_pwait"
    two = ["--workers", "2"]
    # Newer ones end as the signal would have ended them.
    ends = (0, -15)
    alone = _uvicorn("asgi", *asyncio)
    yield Kind("uvicorn", alone, (epoll,), "asgi", workers=0, ends=ends)
    family = _uvicorn("asgi", *asyncio, *two)
    yield Kind("uvicorn --workers 2", family, (epoll,), "asgi", may_stop=False)
    # An older libuv arms by epoll_ctl, a newer one through io_uring.
    alone = _uvicorn("uvloop", *uvloop)
    yield Kind("uvicorn uvloop", alone, (epoll, libuv), "uvloop", workers=0, ends=ends)


KINDS = [
    *_gunicorns(),
    *_uvicorns(),
    *_uwsgis(),
    Kind("http.server", _http_server, ("auto: poll",), workers=0, ends=(-15,)),
]


@contextmanager
def asking(server: Server, path: str = "/", threads: int = 2) -> Iterator[list[Exception]]:
    """Requests all the time, one after the other in each thread; the list gets what failed."""
    errors: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                server.get(path)
            except Exception as error:
                errors.append(error)
                return

    askers = [threading.Thread(target=ask) for _ in range(threads)]
    for asker in askers:
        asker.start()
    try:
        yield errors
    finally:
        stop.set()
        for asker in askers:
            asker.join()


def ask_until(server: Server, pid: int, path: str) -> Any:  # noqa: ANN401 - whatever JSON has
    """Asks until that process is the one that answers."""

    def look() -> Any:  # noqa: ANN401
        answer = server.json(path)
        return answer if answer["pid"] == pid else None

    return wait_for(f"an answer of {pid}", look)


def ask(kind: Kind, server: Server, pid: int, path: str) -> Any:  # noqa: ANN401
    if kind.workers and kind.may_stop:
        return server.ask(pid, path)
    return ask_until(server, pid, path)


def _own(python: Interpreter, value: str) -> Any:  # noqa: ANN401 - whatever JSON has
    """What the interpreter has where nobody changed it."""
    code = f"import gc, json; print(json.dumps({value}))"
    done = subprocess.run(
        [python.path, "-c", code], env=environment(), stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def own_thresholds(python: Interpreter) -> list[int]:
    return _own(python, "gc.get_threshold()")


def own_frozen(python: Interpreter) -> int:
    """Not 0 on 3.12, which freezes what is immortal when it first collects."""
    return _own(python, "(gc.collect(), gc.get_freeze_count())[1]")


def fixed_part(pairs: Iterable[tuple[Kind, Interpreter]]) -> set[tuple[str, str]]:
    """Of all pairs so many that each kind has two interpreters, or all of its own, and each
    interpreter two kinds; always the same on the same machine."""
    every = list(pairs)
    pythons = list(dict.fromkeys(python for _, python in every))
    kinds = list(dict.fromkeys(kind.name for kind, _ in every))
    chosen: set[tuple[str, str]] = set()
    uses = dict.fromkeys(map(str, pythons), 0)

    def take(kind: str, candidates: list[Interpreter], number: int) -> None:
        shift = kinds.index(kind)
        candidates = candidates[shift % len(candidates) :] + candidates[: shift % len(candidates)]
        for python in sorted(candidates, key=lambda p: uses[str(p)])[:number]:
            chosen.add((kind, str(python)))
            uses[str(python)] += 1

    for name in kinds:
        take(name, [python for kind, python in every if kind.name == name], 2)
    for python in pythons:
        for kind in [k for k, p in every if p == python and (k.name, str(p)) not in chosen]:
            if uses[str(python)] < 2:
                take(kind.name, [python], 1)
    return chosen
