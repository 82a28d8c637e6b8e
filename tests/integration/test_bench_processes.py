"""What the latency benchmark counts of a process and of all its descendants."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import latency_processes as processes
from lib.puppet import Puppet
from venvs import Interpreter

# Without SIGCHLD, as a copy that nobody is to be told of; each is in the middle of its work until
# it is let go on.
COPY = """
import ctypes, os, platform, time
libc = ctypes.CDLL(None, use_errno=True)
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
WCLONE = ctypes.c_int(0x80000000).value

def burn(seconds):
    while time.process_time() < seconds: pass

def copy(work):
    global copied, going
    reading, going = os.pipe()
    told, telling = os.pipe()
    copied = libc.syscall(CLONE, 0, 0, 0, 0, 0)
    if copied == 0:
        work()
        os.write(telling, b".")
        os.read(reading, 1)
        os._exit(0)
    os.read(told, 1)
    return copied

def reap():
    os.write(going, b".")
    return os.waitpid(copied, WCLONE)[1]

def write_to(block):
    block[::4096] = b"x" * (len(block) // 4096)
"""
MB = 1 << 20


def test_cpu_of_a_copy_counts_before_and_after_it_was_waited_for(
    system_python: Interpreter,
) -> None:
    with Puppet(system_python, None) as puppet:
        puppet.do(COPY)
        before = processes.cpu(puppet.pid)
        child = puppet.do("copy(lambda: burn(0.6))")
        assert processes.tree(puppet.pid) == [puppet.pid, child]
        alive = processes.cpu(puppet.pid) - before
        assert puppet.do("reap()") == 0
        assert processes.tree(puppet.pid) == [puppet.pid]
        reaped = processes.cpu(puppet.pid) - before
        assert 0.5 < alive <= reaped < alive + 0.5


def test_a_copy_of_a_child_is_of_the_tree(system_python: Interpreter) -> None:
    """As of a worker, whose master is what was started."""
    with Puppet(system_python, None) as puppet:
        puppet.do(COPY)
        before = processes.cpu(puppet.pid)
        child = puppet.do("copy(lambda: copy(lambda: burn(0.6)))")
        try:
            found = processes.tree(puppet.pid)
            assert (found[:2], len(found)) == ([puppet.pid, child], 3)
            assert processes.cpu(puppet.pid) - before > 0.5
        finally:
            for pid in processes.tree(puppet.pid)[2:]:
                os.kill(pid, signal.SIGKILL)
            puppet.do("reap()")


def test_memory_of_a_copy_counts_where_it_is_its_own(system_python: Interpreter) -> None:
    """40 MB of the process, of which the copy has written to 24 itself; and then the process to
    the other 16: then the copy alone has those of before."""
    with Puppet(system_python, None) as puppet:
        puppet.do(COPY, "block = bytearray(b'1') * (40 << 20)")
        alone = processes.together(puppet.pid)
        assert alone == processes.resident(puppet.pid) > 40 * MB
        puppet.do("copy(lambda: write_to(memoryview(block)[:24 << 20]))")
        shared = processes.together(puppet.pid)
        assert 23 * MB < shared - alone < 32 * MB
        puppet.do("write_to(memoryview(block)[24 << 20:])")
        assert 15 * MB < processes.together(puppet.pid) - shared < 20 * MB
        puppet.do("reap()")
        assert processes.together(puppet.pid) < alone + 4 * MB


def test_a_process_that_is_gone_has_nothing() -> None:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    assert not Path(f"/proc/{gone}").exists()
    assert (processes.cpu(gone), processes.together(gone)) == (0, 0)
