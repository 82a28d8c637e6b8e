"""More programs that must not notice the library: compilers, node, java, pip, every way to make
a child, and applications that do odd things to their descriptors and collector."""

from __future__ import annotations

import re
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest
from lib.paths import APPS, LIBRARY
from lib.puppet import Puppet
from lib.rings import ring_files
from lib.run import Completed, environment, files_below, run, side_by_side
from venvs import Interpreter

READY_ONCE = APPS / "ready_once.py"
ARMED = ("one = listen()", "arm(one)")


def listing(work: Path) -> list[tuple[str, str]]:
    """Every file with its content, but compiled Python, which holds times."""
    names = [name for name in files_below(work) if not name.endswith(".pyc")]
    return [(name, repr((work / name).read_bytes())[:100000]) for name in names]


def both(
    command: Sequence[str | Path],
    ring_dir: Path,
    work: Path,
    empty: Path,
    leaves: int = 0,
    **settings: str,
) -> Completed[bytes]:
    """Runs it under an empty library and under ours, of the same name; compares everything."""
    preload = ring_dir / "preload.so"
    results = []
    for library in (empty, LIBRARY):
        preload.unlink(missing_ok=True)
        preload.symlink_to(library)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        settings = {"GCPRELOAD_MODE": "", **settings}
        env = environment(ring_dir, PYTHONHASHSEED="0", **settings)
        env["LD_PRELOAD"] = str(preload)
        done = run(command, env, cwd=work)
        results.append((done, listing(work)))
    (stock, stock_wrote), (ours, we_wrote) = results
    assert ours.stderr == stock.stderr
    assert ours.stdout == stock.stdout
    assert ours.returncode == stock.returncode
    assert we_wrote == stock_wrote
    assert len(ring_files(ring_dir)) == leaves
    return ours


C = 'echo "#include <stdio.h>\nint main(void) { return puts(__TIME__) < 0; }" | sed s/__TIME__/x/'
JAVA = (
    "public class Hello { public static void main(String[] a) throws Exception {"
    " Thread t = new Thread(() -> System.out.println(1)); t.start(); t.join();"
    ' System.exit(new ProcessBuilder(\\"false\\").start().waitFor() + 2); } }'
)
NODE = (
    "const s=require('net').createServer(c=>{c.end('hello')});"
    "s.listen(0,()=>require('net').connect(s.address().port,function(){"
    "this.on('data',d=>{console.log(String(d));s.close();"
    "console.log(require('child_process').spawnSync('sh',['-c','echo hi']).stdout.toString())"
    "})}));process.exitCode=3"
)
PROGRAMS = {
    "gcc": ["sh", "-c", f"{C} >x.c; gcc -O1 -o x x.c && ./x && gcc nothing.c"],
    "node": ["node", "-e", NODE],
    "java": ["sh", "-c", f'echo "{JAVA}" >Hello.java; exec java -Xshare:auto Hello.java'],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, ring_dir: Path, tmp_path: Path, empty_library: Path) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    both(PROGRAMS[name], ring_dir, tmp_path / "work", empty_library)


def test_venv_and_pip(
    server_python: Interpreter, ring_dir: Path, tmp_path: Path, empty_library: Path
) -> None:
    """The same files, the same status, nothing left."""
    script = (
        'p=$1; $p -m venv --without-pip env; env/bin/python -c "import sys; print(sys.prefix)"; '
        "$p -m pip --disable-pip-version-check --version | cut -d' ' -f1; "
        "$p -m pip --disable-pip-version-check --no-cache-dir list >/dev/null; echo $?; "
        "$p -m pip --disable-pip-version-check uninstall -y no-such-package-at-all; echo $?"
    )
    command = ["sh", "-c", script, "sh", server_python.path]
    both(command, ring_dir, tmp_path / "work", empty_library, PIP_ROOT_USER_ACTION="ignore")


CHILDREN = """
import gc, os, signal, sys, threading
def status(pid):
    return os.waitpid(pid, 0)[1] & ~128
def say(*words):
    print(*words); sys.stdout.flush()
"""
KINDS_OF_CHILDREN = {
    "posix_spawn": "say(status(os.posix_spawn('/bin/echo', ['echo', 'hi'], os.environ)))\n",
    "preexec_fn": "import subprocess\n"
    "say(subprocess.call(['true'], preexec_fn=lambda: gc.collect()))\n"
    "say(subprocess.check_output(['ls', '/proc/self/fd']))\n",
    "forkpty": """
pid, fd = os.forkpty()
if not pid:
    gc.collect(); os.write(1, b'from the child'); os._exit(3)
say(os.read(fd, 100), status(pid))
""",
    "fork in a thread during a collection": """
class Forks:
    def __del__(self):
        pid = os.fork()
        if not pid: os._exit(5)
        say(status(pid))
def work():
    x = Forks(); x.me = x; del x
    gc.collect()
thread = threading.Thread(target=work); thread.start()
for i in range(20000): y = []; y.append(y)
thread.join()
""",
    "ends": """
for end in (lambda: os._exit(3), lambda: os.kill(os.getpid(), 9), lambda: os.abort(),
            lambda: os.kill(os.getpid(), 11), lambda: sys.exit(4)):
    pid = os.fork()
    if not pid:
        gc.collect(); end()
    say(status(pid))
""",
    "forkserver": """
import multiprocessing
if __name__ == '__main__':
    context = multiprocessing.get_context('forkserver')
    child = context.Process(target=sys.exit, args=(7,)); child.start(); child.join()
    say(child.exitcode)
""",
    "manager": """
import multiprocessing
if __name__ == '__main__':
    with multiprocessing.get_context('fork').Manager() as manager:
        numbers = manager.list([1]); numbers.append(2); say(list(numbers))
""",
}


@pytest.mark.parametrize("kind", KINDS_OF_CHILDREN)
def test_children(
    python: Interpreter, kind: str, ring_dir: Path, tmp_path: Path, empty_library: Path
) -> None:
    if kind == "posix_spawn" and python.minor < (3, 8):
        pytest.skip("3.7 has none")
    script = tmp_path / "children.py"
    script.write_text(CHILDREN + KINDS_OF_CHILDREN[kind])
    both([python.path, "-W", "ignore", script], ring_dir, tmp_path / "work", empty_library)


# ---- applications that do odd things; each is ready first ----


def test_closes_every_descriptor(python: Interpreter, ring_dir: Path) -> None:
    """As daemons do, all but those it talks through; ps still reads it."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.wait_for("ready")
        puppet.do(
            "for n in range(1, 100):\n"
            "    if n != TALK.fileno():\n"
            "        try: os.close(n)\n"
            "        except OSError: pass"
        )
        before = puppet.shown()
        puppet.do("gc.collect()", "gc.disable()")
        now = puppet.shown()
        assert (now.state, now.alive) == ("ready", True)
        assert now.counts()[2]["collections"] == before.counts()[2]["collections"] + 1


def test_clears_callbacks(python: Interpreter, ring_dir: Path) -> None:
    """It is obeyed; another readiness puts the observer back."""
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED, "gc.callbacks.clear()", "gc.collect()")
        before = puppet.shown()
        puppet.do("gc.collect()")
        assert puppet.shown().counts() == before.counts()
        puppet.do("two = listen()", "arm(two)")
        assert puppet.do("len(gc.callbacks)") == 1
        assert puppet.shown().counts()[2]["collections"] > before.counts()[2]["collections"]
        assert puppet.end() == 0


def test_own_calls_keep_their_meaning(python: Interpreter, ring_dir: Path) -> None:
    with Puppet(python, ring_dir) as puppet:
        puppet.do(*ARMED)
        puppet.do("gc.disable()")
        assert not puppet.collector()["enabled"]
        puppet.do("gc.enable()", "gc.unfreeze()")
        assert not puppet.frozen()
        puppet.do("gc.freeze()")
        assert puppet.frozen()
        puppet.do("gc.disable(); garbage(100)")
        assert puppet.do("gc.collect()") >= 100
        puppet.do("gc.set_threshold(9, 8, 7)")
        assert puppet.collector()["thresholds"] == [9, 8, 7]
        puppet.do("garbage(1000)", "arm(one)")
        assert puppet.collector()["thresholds"] == [9, 8, 7]
        assert puppet.end() == 0


JEMALLOC = Path("/usr/lib") / str(sysconfig.get_config_var("MULTIARCH")) / "libjemalloc.so.2"


@pytest.mark.parametrize("order", ["before", "after", "twice"])
def test_other_libraries(python: Interpreter, order: str, ring_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "libgcpreload.so"
    shutil.copy(LIBRARY, copy)
    preload = {
        "before": f"{JEMALLOC}:{LIBRARY}",
        "after": f"{LIBRARY}:{JEMALLOC}",
        "twice": f"{LIBRARY}:{LIBRARY}",
    }[order]
    if order != "twice" and not JEMALLOC.exists():
        pytest.skip(f"{JEMALLOC} is not installed")
    with Puppet(python, ring_dir, extra={"LD_PRELOAD": preload}) as puppet:
        if order != "twice":
            assert puppet.do("'jemalloc' in open('/proc/self/maps').read()")
        puppet.do(*ARMED, "garbage(60000)")
        assert puppet.wait_for("ready").frozen_objects >= 20000
        assert puppet.do("len(gc.callbacks)") == 1
        assert len(ring_files(ring_dir)) == 1
        assert puppet.errors() == ""
        assert puppet.end() == 0


# ---- the interpreter's own tests ----

SUITES = ["test_gc", "test_fork1", "test_atexit"]


def outcome(done: Completed[bytes]) -> tuple[int, str]:
    """Exit status and the count of tests, in words without times."""
    text = (done.stdout + done.stderr).decode(errors="replace")
    found = re.findall(r"^(test\w+ \(.*?\).* \.\.\. .*|Ran \d+ tests?|OK.*|FAILED.*)$", text, re.M)
    return done.returncode, "\n".join(re.sub(r" in [\d.]+m?s", "", line) for line in found)


@pytest.mark.parametrize("name", SUITES)
def test_own_tests_of_an_interpreter(
    python: Interpreter,
    name: str,
    ring_dir: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if not request.config.getoption("--all") and python.minor not in ((3, 8), (3, 13)):
        pytest.skip("on 3.8 and 3.13; --all runs them on all")
    looked = run([python.path, "-c", f"import test.{name}"], environment())
    if looked.returncode:
        pytest.skip("it does not ship its tests")
    command = [python.path, "-m", "test", "-v", name]
    under = environment(ring_dir, GCPRELOAD_MODE="")
    stock, ours = side_by_side(command, environment(), under, cwd=tmp_path)
    assert outcome(ours) == outcome(stock)
    assert " ... ok" in outcome(stock)[1]
