"""`gcpreload attach`: into a server that runs, and out again, without a trace."""

from __future__ import annotations

import select
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from lib.attacher import ROUNDS, attach, mapped, memory_of, outcome, refusal, running
from lib.paths import COMMAND, DEADLINE
from lib.puppet import Puppet
from lib.rings import by_pid, command
from lib.run import Completed, environment
from venvs import Interpreter

# atexit: of mode freeze, before 3.10.
WHAT_IT_HAS = (
    "sorted({*sys.modules} - {'atexit'}), sorted(globals()), sorted(vars(__import__('builtins')))"
)


def meanwhile(puppet: Puppet, call: Callable[[], Completed[bytes]]) -> Completed[bytes]:
    """The puppet waits for input, so it is given some until the command is done."""
    found: list[Completed[bytes]] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    while thread.is_alive():
        puppet.do("1")
    return found[0]


def observed(ring_dir: Path, pid: int, mode: str = "observe") -> None:
    shown = by_pid(ring_dir)[pid]
    assert (shown.mode, shown.fired) == (mode, "attach")


def test_attach_and_detach(python: Interpreter, ring_dir: Path) -> None:
    """On every interpreter, static and shared; nothing of it is left in Python."""
    with Puppet(python, None) as puppet:
        before = puppet.do(WHAT_IT_HAS)
        own = puppet.do("gc.collect()", "gc.get_threshold(), gc.get_freeze_count()")
        unfrozen = [own[0], 0]  # also what 3.12 freezes by itself
        done = meanwhile(puppet, lambda: attach(puppet.pid, "--json", "--dir", ring_dir))
        said = outcome(done)
        assert (done.returncode, said["attached"], said["why"]) == (0, True, None)
        assert (said["pid"], said["mode"]) == (puppet.pid, "observe")
        assert said["library"].endswith("libgcpreload.so")
        observed(ring_dir, puppet.pid)
        assert puppet.do(WHAT_IT_HAS) == before
        assert puppet.do("gc.get_threshold(), gc.get_freeze_count()") == own
        done = meanwhile(puppet, lambda: attach(puppet.pid, verb="detach"))
        assert done.stdout.decode() == f"{puppet.pid}: detached\n"
        assert puppet.do("gc.callbacks") == []
        done = meanwhile(puppet, lambda: attach(puppet.pid, "-m", "freeze", "--dir", ring_dir))
        assert done.stdout.decode() == (
            f"{puppet.pid}: attached, CPython 3.{python.minor[1]}, mode freeze; "
            "see: gcpreload ps\n"
        )
        observed(ring_dir, puppet.pid, "freeze")
        if python.minor != (3, 14):  # its incremental collector is left as it is
            assert puppet.do("gc.get_freeze_count()") > own[1]
        assert meanwhile(puppet, lambda: attach(puppet.pid, verb="detach")).returncode == 0
        assert puppet.do("gc.get_threshold(), gc.get_freeze_count()") == unfrozen
        assert puppet.do(WHAT_IT_HAS) == before
        assert puppet.errors() == ""


@pytest.mark.parametrize("what", ROUNDS)
def test_whatever_it_does(one_of_two_pythons: Interpreter, what: str, ring_dir: Path) -> None:
    with running(one_of_two_pythons, what) as target:
        done = attach(target.pid, "--dir", ring_dir)
        assert done.returncode == 0, done.stderr
        target.lines(5)
        observed(ring_dir, target.pid)
        assert attach(target.pid, verb="detach").returncode == 0
        target.lines(5)
        target.is_left_alone()


def test_its_memory_is_given_back(system_python: Interpreter, ring_dir: Path) -> None:
    with running(system_python, "sleeps") as target:
        assert attach(target.pid, "--dir", ring_dir).returncode == 0
        assert attach(target.pid, verb="detach").returncode == 0
        target.lines(2)
        before = memory_of(target.pid)
        for _ in range(3):
            assert attach(target.pid, "--dir", ring_dir).returncode == 0
            assert attach(target.pid, verb="detach").returncode == 0
        target.lines(2)
        assert memory_of(target.pid) <= before


def test_one_that_waits(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """It says that it waits; where nothing comes in time, nothing comes later, either."""
    with Puppet(one_of_two_pythons, None) as puppet:
        puppet.do("1")
        words = ["--timeout", "1", "--dir", ring_dir]
        done = subprocess.run(
            [COMMAND, "attach", *words, str(puppet.pid)],
            env=environment(),
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
        waits, why = done.stderr.decode().splitlines()
        assert done.returncode == 1
        assert "waits for its main thread to run Python again" in waits
        assert "nothing was done" in why
        puppet.do("1", "gc.collect()", "1")
        assert not mapped(puppet.pid)
        assert puppet.do("gc.callbacks") == []
        done = meanwhile(puppet, lambda: attach(puppet.pid, "--dir", ring_dir))
        assert done.returncode == 0


HANDLER = """
class Alarm(Exception):
    pass
def handler(number, frame):
    raise Alarm
import signal
signal.signal(signal.SIGUSR1, handler)
got = told = n = 0
def work():
    global n, told
    while True:
        n += 1
        if told < got:  # the next one comes only now
            told = got
            os.write(1, b"%d\\n" % got)
        if n % 50 == 0:
            time.sleep(0.0005)
while True:
    try:
        work()
    except Alarm:
        got += 1
"""


def test_an_exception_of_a_handler_is_not_lost(
    one_of_two_pythons: Interpreter, ring_dir: Path
) -> None:
    """Each signal is one exception in the program, also those that come while it attaches."""
    if one_of_two_pythons.minor >= (3, 10):
        pytest.skip("handlers are called before the first line of a text, where no try holds")
    source = "import os, time\n" + HANDLER
    with subprocess.Popen(
        [one_of_two_pythons.path, "-c", source],
        stdout=subprocess.PIPE,
        env=environment(),
        bufsize=0,
    ) as process:
        assert process.stdout
        stop = threading.Event()
        sent = 0

        def attach_again_and_again() -> None:
            for _ in range(15):
                assert attach(process.pid, "--dir", ring_dir).returncode == 0
                assert attach(process.pid, verb="detach").returncode == 0
            stop.set()

        thread = threading.Thread(target=attach_again_and_again)
        try:
            observed_once = False
            while not observed_once:  # it has its handler
                status = Path(f"/proc/{process.pid}/status").read_text()
                caught = int(status.partition("SigCgt:")[2].split()[0], 16)
                observed_once = bool(caught >> 9 & 1)
            thread.start()
            while not stop.is_set() and thread.is_alive():
                process.send_signal(10)
                sent += 1
                assert select.select([process.stdout], [], [], DEADLINE)[0]
                assert process.stdout.readline() == b"%d\n" % sent
            thread.join()
            assert stop.is_set()
        finally:
            process.kill()


HOOK = """
import os, signal, sys, time
class Alarm(Exception):
    pass
def handler(number, frame):
    raise Alarm
def hook(event, arguments):
    if event == "import" and arguments[0] == "gcpreload_attach" and not sent:
        sent.append(1)
        os.kill(os.getpid(), signal.SIGUSR1)
sent = []
signal.signal(signal.SIGUSR1, handler)
sys.addaudithook(hook)
def work():
    while True:
        time.sleep(0.001)
os.write(1, b"begun\\n")
try:
    work()
except Alarm:
    os.write(1, b"raised\\n")
work()
"""


def test_a_handler_that_interrupts_it(one_of_two_pythons: Interpreter, ring_dir: Path) -> None:
    """The program has the exception, and the text is run again."""
    if one_of_two_pythons.minor < (3, 8):
        pytest.skip("no audit hook tells the moment: sys.addaudithook is new in 3.8")
    with subprocess.Popen(
        [one_of_two_pythons.path, "-c", HOOK], stdout=subprocess.PIPE, env=environment(), bufsize=0
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"begun\n"
            done = attach(process.pid, "--dir", ring_dir)
            assert (done.returncode, done.stderr) == (0, b"")
            assert select.select([process.stdout], [], [], DEADLINE)[0]
            assert process.stdout.readline() == b"raised\n"
            observed(ring_dir, process.pid)
            assert attach(process.pid, verb="detach").returncode == 0
            assert process.poll() is None
        finally:
            process.kill()


def test_doctor_says_whether(system_python: Interpreter, ring_dir: Path) -> None:
    with running(system_python, "sleeps") as target:
        said = command("doctor", "--pid", str(target.pid)).stdout.decode()
        assert f"gcpreload attach {target.pid} would work" in said
        assert attach(target.pid, "--dir", ring_dir).returncode == 0
        said = command("doctor", "--pid", str(target.pid)).stdout.decode()
        assert "would work" not in said


def test_refused_words() -> None:
    for words, why in (
        ([], "no PID given"),
        (["1", "2"], "takes one PID at a time"),
        (["x"], "x: not a PID"),
        (["-m", "off", "1"], "off: not a mode for attach"),
        (["--timeout", "0", "1"], "0: --timeout takes seconds"),
        (["--dir", "here", "1"], "here: --dir takes an absolute path"),
    ):
        done = command("attach", *words)
        assert done.returncode == 2
        assert why in done.stderr.decode()


def test_no_such_process() -> None:
    assert refusal(attach(2**22)).startswith(f"{2**22}: no such process")
