"""Programs that serve no requests themselves, but start, watch or restart those that do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from lib.paths import APPS, COMMAND, DEADLINE
from lib.ports import reserved_port
from lib.puppet import Puppet
from lib.rings import Process, by_pid, command, ring_files
from lib.run import environment, run, wait_for
from lib.server import children
from lib.servers import UWSGI, UwsgiServer
from test_doctor import doctor
from venvs import Interpreter, venv


def family(pid: int) -> list[int]:
    """Its living descendants."""
    found = children(pid)
    return found + [one for child in found for one in family(child)]


@contextlib.contextmanager
def running(words: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> Iterator[int]:
    """The pid of a program, which is ended with all that it started."""
    with (cwd / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in words],
            env={**env, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process.pid
        except BaseException:
            print((cwd / "output").read_text())
            raise
        finally:
            started = family(process.pid)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pid in started:
                with contextlib.suppress(OSError):
                    if os.getsid(pid) == process.pid:
                        os.kill(pid, signal.SIGKILL)


def serves_below(pid: int, ring_dir: Path) -> Process:
    """The first descendant that is tuned."""

    def look() -> Process | None:
        shown = by_pid(ring_dir)
        found = [shown[one] for one in family(pid) if one in shown]
        return next((one for one in found if one.state == "ready"), None)

    return wait_for("a server that is ready", look)


def is_left_alone(pid: int, ring_dir: Path, why: str) -> None:
    """ps, ps --config and doctor say so."""
    assert pid not in by_pid(ring_dir), "it has no ring"
    shown = by_pid(ring_dir, "--all")[pid]
    assert (shown.state, shown.reason) == ("no-ring", f"{why}, and is left alone")
    config = command("ps", "--config", "--dir", ring_dir, str(pid))
    assert f"note: {why}, and is left alone" in config.stdout.decode()
    done = run([COMMAND, "doctor", "--pid", str(pid)], environment())
    assert done.returncode == 1
    assert f"no    {why}, and is left alone; ask about the" in done.stdout.decode()


# ---- those that start others ----

SUPERVISORD = """
[supervisord]
nodaemon = true
user = {user}
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {folder}/pid
[unix_http_server]
file = {folder}/socket
[program:files]
command = {python} -m http.server 0 --bind 127.0.0.1
directory = {folder}
stopasgroup = true
"""


def supervisord(python: Interpreter, folder: Path) -> list[str | Path]:
    conf = folder / "supervisord.conf"
    user = os.environ.get("USER") or "root"
    conf.write_text(SUPERVISORD.format(folder=folder, python=python.path, user=user))
    return [Path(venv("helpers", python)).parent / "supervisord", "-c", conf]


def honcho(python: Interpreter, folder: Path) -> list[str | Path]:
    (folder / "Procfile").write_text(f"files: {python.path} -m http.server 0 --bind 127.0.0.1\n")
    return [Path(venv("helpers", python)).parent / "honcho", "start"]


STARTERS = {"supervisord": supervisord, "honcho": honcho}


@pytest.mark.parametrize("name", STARTERS)
def test_what_starts_others(
    name: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    env = environment(ring_dir, GCPRELOAD_MODE="freeze")
    with running(STARTERS[name](system_python, tmp_path), env, tmp_path) as pid:
        assert "http.server" in serves_below(pid, ring_dir).command
        is_left_alone(pid, ring_dir, f"{name} starts and watches other programs")


@pytest.mark.parametrize(
    "settings", [{"GCPRELOAD_ONLY": "*supervisord*"}, {"GCPRELOAD_FORCE": "1"}], ids=str
)
def test_one_that_is_named_all_the_same(
    settings: dict[str, str], system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """It waits on a listening socket, too."""
    env = environment(ring_dir, GCPRELOAD_MODE="freeze", **settings)
    with running(supervisord(system_python, tmp_path), env, tmp_path) as pid:

        def tuned() -> bool:
            shown = by_pid(ring_dir).get(pid)
            return bool(shown and shown.state == "ready")

        wait_for("supervisord is tuned", tuned)


TRACKER = """
def track():
    try:
        from multiprocessing import resource_tracker as module
        tracker = module._resource_tracker
    except ImportError:
        from multiprocessing import semaphore_tracker as module
        tracker = module._semaphore_tracker
    tracker.ensure_running()
    return tracker._pid if hasattr(tracker, "_pid") else tracker._semaphore_tracker_pid
"""


@pytest.mark.parametrize("mode", ["observe", "freeze"])
def test_the_resource_tracker(mode: str, one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    with Puppet(one_of_two_pythons, ring_dir, GCPRELOAD_MODE=mode) as puppet:
        pid = puppet.do(TRACKER, "track()")

        def begun() -> bool:
            return b"_tracker import main" in Path(f"/proc/{pid}/cmdline").read_bytes()

        wait_for("the tracker", begun)
        wait_for("its library", lambda: pid in by_pid(ring_dir, "--all"))
        why = "the resource tracker of multiprocessing runs no code of the program"
        is_left_alone(pid, ring_dir, why)


# ---- development servers ----

MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="__main__", ALLOWED_HOSTS=["*"])
urlpatterns = []
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
FLASK = "import flask\napp = flask.Flask(__name__)\n"
ASGI = "async def app(scope, receive, send):\n    pass\n"
RELOADERS = {
    "Django": ["manage.py", "runserver", "--skip-checks", "127.0.0.1:{port}"],
    "Flask": ["-m", "flask", "--app", "app", "run", "--debug", "--port", "{port}"],
    "uvicorn": ["-m", "uvicorn", "--reload", "--port", "{port}", "app:app"],
}


@pytest.mark.parametrize("name", RELOADERS)
def test_a_reloader(name: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Its child serves: where its main thread does not, it is ready after ten seconds."""
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "app.py").write_text(FLASK if name == "Flask" else ASGI)
    env = environment(ring_dir, GCPRELOAD_MODE="freeze")
    why = f"{name}'s reloader starts the server as a process of its own"
    with reserved_port() as port:
        options = [word.format(port=port) for word in RELOADERS[name]]
        words = [venv("helpers", system_python), *options]
        with running(words, env, tmp_path) as pid:
            serves_below(pid, ring_dir)
            is_left_alone(pid, ring_dir, why)
    said = doctor("--", *words, ring_dir=ring_dir)[1]
    assert f"note  {why}; only that one is tuned" in said


@pytest.mark.parametrize(
    ("words", "tuned", "word"),
    [
        (["-m", "uvicorn", "app:app", "--reload"], True, "only that one is tuned"),
        (["manage.py", "runserver"], None, "only that one is tuned"),
        (["-m", "rq", "worker"], None, "those are left alone, without measurements"),
        (["-m", "supervisor.supervisord"], False, "watches other programs, and is left alone"),
    ],
    ids=str,
)
def test_doctor_of_a_command(
    words: list[str], tuned: bool | None, word: str, system_python: Interpreter, ring_dir: Path
) -> None:
    answer, said = doctor("--", system_python.path, *words, ring_dir=ring_dir)
    assert answer is tuned, said
    assert word in said


# ---- jobs ----

# More than the interpreter's own threshold, so that automatic collections come; and long enough
# for a process that is only measured to have its ring.
JOBS = """
import time
def job(seconds=0):
    out, into = os.pipe()
    pid = os.fork()
    if not pid:
        end = time.monotonic() + seconds
        garbage(50000)
        while time.monotonic() < end:
            garbage(2000)
        told = [gc.get_threshold()[0] < 10000, gc.get_freeze_count() >= HEAP_SIZE]
        os.write(into, json.dumps(told).encode())
        os._exit(0)
    os.close(into)
    told = json.loads(os.read(out, 1000).decode())
    os.close(out)
    os.waitpid(pid, 0)
    return told
"""


def a_worker(
    python: Interpreter, name: str, folder: Path, verb: str = "worker"
) -> list[str | Path]:
    """The puppet, by the name of another program."""
    script = folder / name
    script.symlink_to(APPS / "puppet.py")
    return [python.path, script, verb]


def rings_of_children(puppet: Puppet, ring_dir: Path) -> int:
    """Also of those that ended."""
    return sum(not file.name.startswith(f"{puppet.pid}.") for file in ring_files(ring_dir))


@pytest.mark.parametrize("name", ["rq", "another"])
def test_no_ring_for_each_job(
    name: str, one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """The worker freezes what they share; they collect as without the library."""
    python = one_of_two_pythons
    program = a_worker(python, name, tmp_path)
    settings = {"GCPRELOAD_MODE": "freeze", "GCPRELOAD_TRIGGER": "fork"}
    with Puppet(python, ring_dir, program=program, **settings) as puppet:
        puppet.do(JOBS)
        for _ in range(3):
            own_threshold, frozen = puppet.do("job()")
            assert frozen
            assert own_threshold == (name == "rq")
        assert by_pid(ring_dir)[puppet.pid].state == "parent"
        assert rings_of_children(puppet, ring_dir) == (0 if name == "rq" else 3)


@pytest.mark.parametrize("name", ["rq", "another"])
def test_no_ring_for_each_job_that_is_measured(
    name: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    program = a_worker(system_python, name, tmp_path)
    with Puppet(system_python, ring_dir, program=program, GCPRELOAD_MODE="observe") as puppet:
        puppet.do(JOBS, "job(4)")
        assert rings_of_children(puppet, ring_dir) == (0 if name == "rq" else 1)


POOL = """
def pool():
    pid = os.fork()
    if not pid:
        garbage(50000)
        job()
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("name", ["rq", "another"])
def test_workers_of_a_pool_are_no_jobs(
    name: str, system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    program = a_worker(system_python, name, tmp_path, "worker-pool")
    settings = {"GCPRELOAD_MODE": "freeze", "GCPRELOAD_TRIGGER": "fork"}
    with Puppet(system_python, ring_dir, program=program, **settings) as puppet:
        puppet.do(JOBS, POOL, "pool()")
        assert rings_of_children(puppet, ring_dir) == (1 if name == "rq" else 2)


REDIS = Path("/usr/bin/redis-server")


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Its address."""
    if not REDIS.exists():
        pytest.skip("no redis-server (scripts/setup test installs it)")
    socket = folder / "redis"
    words = [REDIS, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
    (folder / "log").mkdir()
    with running(words, environment(), folder / "log"):
        wait_for("redis", socket.exists)
        yield f"unix://{socket}"


JOB = """
import gc, os
def serve():
    made = []
    for _ in range(50000):
        made = [made[:0]]
        made.append(made)
    return os.getpid(), os.getppid(), gc.get_threshold()[0], gc.get_freeze_count()
"""
ASK = """
import json, sys, time
import redis, rq
from jobs import serve
jobs = [rq.Queue(connection=redis.from_url(sys.argv[1])).enqueue(serve) for _ in range(3)]
while not all(job.get_status(refresh=True) in ("finished", "failed") for job in jobs):
    time.sleep(0.05)
print(json.dumps([job.return_value() for job in jobs]))
"""


def test_jobs_of_rq(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """A real worker of it, and one of its jobs while it runs."""
    python = Path(venv("helpers", system_python))
    (tmp_path / "jobs.py").write_text(JOB)
    settings = {"GCPRELOAD_MODE": "freeze", "GCPRELOAD_TRIGGER": "fork"}
    env = environment(ring_dir, PYTHONPATH=str(tmp_path), **settings)
    (tmp_path / "worker").mkdir()
    with redis(tmp_path) as url:
        words = [python.parent / "rq", "worker", "--url", url]
        with running(words, env, tmp_path / "worker") as pid:
            ask = [python, "-c", ASK, url]
            done = run(ask, environment(PYTHONPATH=str(tmp_path)), deadline=DEADLINE)
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            assert all(parent == pid for _, parent, _, _ in told)
            assert all(threshold < 10000 for _, _, threshold, _ in told)
            assert all(frozen > 10000 for _, _, _, frozen in told)
            assert [file.name.split(".")[0] for file in ring_files(ring_dir)] == [str(pid)]


def test_a_job_in_ps(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    program = a_worker(system_python, "rq", tmp_path)
    fork = "import os, time\npid = os.fork()\nif not pid:\n time.sleep(600)\n os._exit(0)"
    with Puppet(system_python, ring_dir, program=program, GCPRELOAD_MODE="freeze") as puppet:
        puppet.do(fork)
        pid = puppet.do("pid")
        try:
            shown = by_pid(ring_dir, "--all")[pid]
        finally:
            puppet.do("os.kill(pid, 9)", "os.waitpid(pid, 0)")
        assert shown.state == "no-ring"
        assert shown.reason == "rq forks a process for each job, which is left alone"


# ---- uWSGI's own processes ----


class RoutedServer(UwsgiServer):
    """uWSGI behind its router, whose address is given."""

    def __init__(self, words: list[str], port: int, env: Mapping[str, str]) -> None:
        super().__init__([UWSGI, "--plugin", "http", *words], env)
        self.given = port

    def _find_port(self) -> int | None:
        super()._find_port()
        return self.given if f"bound on 127.0.0.1:{self.given}" in self.output() else None

    def _answers(self) -> bool:
        try:
            return super()._answers()
        except (ConnectionError, AssertionError):
            return False


COMMON = ["--die-on-term", "--need-app", "--pythonpath", str(APPS), "--module", "wsgi:app"]


@pytest.mark.parametrize("mode", ["freeze", "idle", "observe"])
def test_the_router_of_uwsgi(mode: str, system_python: Interpreter, ring_dir: Path) -> None:
    """It waits on a listening socket, with Python in it that runs nothing."""
    if not UWSGI.exists() or not system_python.is_system:
        pytest.skip("no uwsgi_python3")
    with reserved_port() as port:
        words = ["--http", f"127.0.0.1:{port}", "--master", "--processes", "2", *COMMON]
        env = environment(ring_dir, GCPRELOAD_MODE=mode)
        with RoutedServer(words, port, env) as server:
            state = "observing" if mode == "observe" else "ready"

            def look() -> list[Process] | None:
                server.get("/")
                found = [p for p in by_pid(ring_dir).values() if p.pid in server.workers()]
                return found if len(found) == 3 else None

            found = wait_for("two workers and the router", look)
            routers = [p for p in found if "router" in (p.reason or "")]
            assert [p.state for p in routers] == ["observing"]
            assert routers[0].reason == "a helper of uWSGI (router), which runs no Python"
            assert [p.state for p in found if p not in routers] == [state] * 2
            told = json.loads(command("report", "--json", "--dir", ring_dir).stdout)
            (router,) = [one for one in told["processes"] if one["pid"] == routers[0].pid]
            served = [one["period"] for one in router["periods"] if one["seconds"]]
            assert served == ["startup"], "it is not compared with those that serve"


@pytest.mark.parametrize("more", [[], ["--enable-threads"], ["--cheap"]], ids=str)
def test_workers_of_uwsgi_are_none(
    more: list[str], system_python: Interpreter, ring_dir: Path
) -> None:
    """Without a master, and a master that waits itself until a first request comes."""
    if not UWSGI.exists() or not system_python.is_system:
        pytest.skip("no uwsgi_python3")
    words = [UWSGI, "--http-socket", "127.0.0.1:0", *COMMON, *more]
    words += ["--master", "--processes", "1"] if more == ["--cheap"] else []
    with UwsgiServer(words, environment(ring_dir, GCPRELOAD_MODE="freeze")) as server:

        def look() -> list[Process] | None:
            server.get("/")
            pids = {server.pid, *server.workers()}
            found = [p for p in by_pid(ring_dir).values() if p.pid in pids]
            return found if any(p.state == "ready" for p in found) else None

        assert all(p.state in ("ready", "parent") for p in wait_for("a worker", look))
