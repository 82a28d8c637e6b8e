"""`gcpreload attach` where it might do harm: it says why, and touches nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib.attacher import attach, become_tracer, mapped, refusal, running
from lib.mounts import need_mounts
from lib.paths import COMMAND, LIBRARY
from lib.puppet import Puppet
from lib.run import environment, run, wait_for
from lib.users import NOBODY, nobodys_puppet
from venvs import Interpreter


@contextmanager
def started(*command: str | Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """It says a line when it has begun."""
    with subprocess.Popen(
        [str(word) for word in command],
        env=environment(**settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_not_a_python() -> None:
    with started("sh", "-c", "echo; read line") as shell:
        assert "no CPython 3.7 or later is in it" in refusal(attach(shell.pid))


def test_an_old_python(old_python: Interpreter) -> None:
    source = "import sys\nprint(1); sys.stdout.flush(); sys.stdin.read()"
    with started(old_python.path, "-c", source) as process:
        assert "no CPython 3.7 or later is in it" in refusal(attach(process.pid))


def test_itself() -> None:
    process = subprocess.run(
        ["sh", "-c", f"exec {COMMAND} attach $$"], capture_output=True, check=False
    )
    assert (process.returncode, b"is this command itself" in process.stderr) == (1, True)


def test_under_the_library(system_python: Interpreter, ring_dir: Path) -> None:
    with Puppet(system_python, ring_dir) as puppet:
        puppet.do("1")
        why = refusal(attach(puppet.pid, "--dir", ring_dir))
        assert f"was started with the library (LD_PRELOAD); use: gcpreload set {puppet.pid}" in why
        why = refusal(attach(puppet.pid, verb="detach"))
        assert f"use: gcpreload set {puppet.pid} mode=off" in why


def test_detach_without_attach(system_python: Interpreter) -> None:
    with running(system_python, "sleeps") as target:
        assert "the library is not in it" in refusal(attach(target.pid, verb="detach"))


def test_attached_already(system_python: Interpreter, ring_dir: Path) -> None:
    with running(system_python, "sleeps") as target:
        assert attach(target.pid, "--dir", ring_dir).returncode == 0
        assert "is attached already" in refusal(attach(target.pid, "--dir", ring_dir))
        assert attach(target.pid, verb="detach").returncode == 0
        assert "is not attached" in refusal(attach(target.pid, verb="detach"))


def test_traced(system_python: Interpreter) -> None:
    with running(system_python, "sleeps") as target:
        become_tracer(target.pid)
        why = refusal(attach(target.pid))
        assert f"is traced by process {os.getpid()} (" in why
        assert not mapped(target.pid)


def test_stopped(system_python: Interpreter) -> None:
    """And stays so."""
    with running(system_python, "sleeps") as target:
        target.process.send_signal(signal.SIGSTOP)
        wait_for("the stop", lambda: target.status()["State"].startswith("T"))
        assert f"is stopped; continue it first: kill -CONT {target.pid}" in refusal(
            attach(target.pid)
        )
        assert target.status()["State"].startswith("T")
        target.process.send_signal(signal.SIGCONT)
        target.lines(10)


def test_ended(system_python: Interpreter) -> None:
    with started(system_python.path, "-c", "print(1, flush=True)") as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_for("a zombie", lambda: "Z (zombie)" in status.read_text())
        assert "no such process" in refusal(attach(process.pid))


ENDS = """
import atexit, sys
class Last:
    def __del__(self):
        print(1, flush=True)
        sys.stdin.read()
keep = [Last()]
keep.append(keep)
"""


def test_shutting_down(python: Interpreter) -> None:
    """Every interpreter says so in a place of its own."""
    with started(python.path, "-c", ENDS) as process:
        assert "its Python is shutting down" in refusal(attach(process.pid))


def test_of_another_user(system_python: Interpreter, ring_dir: Path) -> None:
    """Root's, asked by nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with running(system_python, "sleeps") as target:
        done = run([*NOBODY, COMMAND, "attach", str(target.pid)], environment())
        assert (done.returncode, done.stdout) == (1, b"")
        why = done.stderr.decode()
        assert "belongs to user 0; attach as that user or as root" in why


def test_not_dumpable(system_python: Interpreter, ring_dir: Path) -> None:
    """One that has changed its user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    ring_dir.chmod(0o1777)
    source = "import os, time\nos.setgid(65534); os.setuid(65534); print(1, flush=True)\n"
    source += "while True: time.sleep(0.01)"
    with started(system_python.path, "-c", source) as process:
        done = run([*NOBODY, COMMAND, "attach", str(process.pid)], environment())
        assert "is not dumpable" in done.stderr.decode()
        assert "is not dumpable" in refusal(attach(process.pid, "--dir", ring_dir))
        assert not mapped(process.pid)


def test_as_its_own_user(system_python: Interpreter, ring_dir: Path) -> None:
    """Root is not needed."""
    command = nobodys_puppet(system_python, ring_dir)
    source = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"
    with started(*command[:-1], "-c", source) as process:
        words = ["--dir", str(ring_dir), str(process.pid)]
        done = run([*NOBODY, COMMAND, "attach", *words], environment())
        if b"yama" in done.stderr:
            pytest.skip("the kernel lets only root attach here")
        assert done.returncode == 0, done.stderr


def test_the_capability_is_missing(system_python: Interpreter) -> None:
    """As in a container: root, without SYS_PTRACE, and a process with more."""
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities")
    with running(system_python, "sleeps") as target:
        words = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
        done = run([*words, COMMAND, "attach", str(target.pid)], environment())
        assert "the capability SYS_PTRACE is missing" in done.stderr.decode()


def test_a_file_that_was_replaced(system_python: Interpreter, tmp_path: Path) -> None:
    """Its symbols would be those of another interpreter."""
    mine = tmp_path / "python3"
    shutil.copy(system_python.path, mine)
    source = "import sys\nprint(1, flush=True)\nsys.stdin.read()"
    with started(mine, "-c", source) as process:
        other = tmp_path / "other"
        shutil.copy("/bin/sh", other)
        other.rename(mine)
        done = run([*NOBODY, COMMAND, "attach", str(process.pid)], environment())
        assert done.returncode == 1
        if os.geteuid() != 0:
            assert "the file was replaced" in done.stderr.decode()


def test_an_older_library(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> None:
    """Another file of that name would be loaded beside it."""
    mine = tmp_path / "libgcpreload.so"
    shutil.copy(LIBRARY, mine)
    with running(system_python, "sleeps") as target:
        words = ["--library", mine, "--dir", ring_dir]
        assert attach(target.pid, *words).returncode == 0
        assert attach(target.pid, verb="detach").returncode == 0
        mine.unlink()
        shutil.copy(LIBRARY, mine)
        assert "has an older library" in refusal(attach(target.pid, *words))


def test_a_library_that_is_none(
    system_python: Interpreter, tmp_path: Path, empty_library: Path
) -> None:
    with running(system_python, "sleeps") as target:
        for library, why in (
            (empty_library, "is not a libgcpreload.so of this version"),
            (tmp_path / "none.so", "cannot be read there: No such file or directory"),
            (tmp_path, "is not a libgcpreload.so of this version"),
            (Path("none.so"), "is not an absolute path"),
        ):
            assert why in refusal(attach(target.pid, "--library", library))
        target.lines(2)
        target.is_left_alone()


def test_no_place_for_measurements(system_python: Interpreter, disk_dir: Path) -> None:
    """The library says no; nothing is left on."""
    with running(system_python, "sleeps") as target:
        done = attach(target.pid, "--dir", "/proc/none")
        assert "there can be no measurements" in refusal(done)
        target.lines(2)


def test_in_namespaces_of_its_own(system_python: Interpreter, ring_dir: Path) -> None:
    """As a container has them, on the same files: it has another pid for itself."""
    need_mounts()
    source = "import os, time\nprint(os.getpid(), flush=True)\nwhile True: time.sleep(0.01)"
    words = ["unshare", "--pid", "--fork", "--mount-proc", system_python.path, "-c", source]
    with started(*words) as process:
        task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pid = int(task.read_text())
        try:
            done = attach(pid, "--dir", ring_dir)
            assert done.returncode == 0, done.stderr
            assert attach(pid, verb="detach").returncode == 0
        finally:
            os.kill(pid, signal.SIGKILL)


def test_below_a_root_of_its_own(
    system_python: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    """Where the library is mapped from is not the path that it has for the process."""
    need_mounts()
    source = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"
    inside = f'mount --rbind / {tmp_path}; exec chroot {tmp_path} "$@"'
    words = ["unshare", "--mount", "sh", "-ec", inside, "sh", system_python.path, "-c", source]
    with started(*words) as process:
        done = attach(process.pid, "--dir", ring_dir)
        assert done.returncode == 0, done.stderr
        done = attach(process.pid, verb="detach")
        assert done.returncode == 0, done.stderr


def test_in_another_root(system_python: Interpreter, tmp_path: Path) -> None:
    """The library is not there."""
    need_mounts()
    source = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"
    hide = f'mount -t tmpfs none {LIBRARY.parent}; exec "$@"'
    words = ["unshare", "--mount", "sh", "-ec", hide, "sh", system_python.path, "-c", source]
    with started(*words) as process:
        why = refusal(attach(process.pid))
        assert "copy it into its container, and name it with --library" in why


def test_a_user_namespace(system_python: Interpreter) -> None:
    source = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"
    probe = subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True)
    if probe.returncode != 0:
        pytest.skip("no user namespace can be made here")
    with started("unshare", "--user", system_python.path, "-c", source) as process:
        assert "is in another user namespace" in refusal(attach(process.pid))


def test_strict_seccomp(system_python: Interpreter) -> None:
    source = "import ctypes, os\nos.write(1, b'1\\n')\nctypes.CDLL(None).prctl(22, 1)\n"
    source += "while True: pass"
    with started(system_python.path, "-c", source) as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_for("seccomp", lambda: "Seccomp:\t1" in status.read_text())
        assert "seccomp, strict" in refusal(attach(process.pid))
