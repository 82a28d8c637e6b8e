"""Containers without a registry: the machine's own files, in namespaces, as a runtime limits them.

An image is a directory, in which /usr and the like are the machine's. A container has mounts and
process numbers of its own, a root that is read-only, 64 MB of /dev/shm, an environment of its own,
another user, and no way to more privileges. Root only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from venvs import Interpreter

from lib.mounts import need_mounts
from lib.paths import DEADLINE
from lib.run import Completed, environment, run, wait_for
from lib.server import children

SYSTEM = ("usr", "etc")
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
DEVICES = ("null", "zero", "urandom")
PATH = "/venv/bin:/usr/bin:/bin"
MOUNTS = """
root=$1 wd=$2 binds=$3
shift 3
mount --bind "$root" "$root"
for one in $binds; do
	mount --bind "${one%%:*}" "$root${one#*:}"
done
mount -t tmpfs -o size=64m,mode=1777 shm "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec unshare --root="$root" --wd="$wd" -- "$@"
"""


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Of a Dockerfile: each with the rest of its line."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.M).replace("\\\n", " ")
    return [(words[0], words[1]) for line in text.splitlines() if (words := line.split(None, 1))]


def words_of(value: str) -> list[str]:
    """The JSON form, or the shell's."""
    return json.loads(value) if value.startswith("[") else ["/bin/sh", "-c", value]


def yaml_of(file: Path, python: Interpreter) -> Any:  # noqa: ANN401 - whatever it has
    """Read by Debian's python3-yaml; the test is skipped where it is missing."""
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    done = run([python.path, "-c", code, file], environment())
    if b"No module named 'yaml'" in done.stderr:
        pytest.skip("python3-yaml is missing")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@dataclass
class Image:
    """A root directory, and what stands in for the parts that are this machine's."""

    root: Path
    binds: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(mode=0o755)
        self.root.chmod(0o755)
        for name in LINKS:
            here = Path("/", name)
            if here.is_symlink():
                (self.root / name).symlink_to(os.readlink(here))
            elif here.is_dir():
                self.bind(f"/{name}", here)
        for name in SYSTEM:
            self.bind(f"/{name}", Path("/", name))
        for name in ("dev/shm", "proc", "tmp"):
            (self.root / name).mkdir(parents=True)
        for name in DEVICES:
            (self.root / "dev" / name).touch()
            self.binds[f"/dev/{name}"] = Path("/dev", name)

    def bind(self, inside: str, here: Path) -> None:
        (self.root / inside[1:]).mkdir(parents=True, exist_ok=True)
        self.binds[inside] = here

    def write(self, inside: str, content: bytes, mode: int = 0o644) -> None:
        file = self.root / inside[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)

    def with_gunicorn(self, python: Interpreter) -> None:
        """What `pip install gunicorn` in a python image makes."""
        venv = Path(python.environment("gunicorn")).parent.parent
        self.bind("/venv", venv)
        script = "#!/venv/bin/python\nfrom gunicorn.app.wsgiapp import run\nrun()\n"
        self.write("/local/gunicorn", script.encode(), 0o755)


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def words(self) -> list[str]:
        kept = ["--groups", ",".join(map(str, self.groups))] if self.groups else ["--clear-groups"]
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}", *kept]
        return ["setpriv", *ids, "--no-new-privs", "--bounding-set=-all"]


class Container:
    """One that runs. Use it in a with statement."""

    def __init__(
        self,
        image: Image,
        command: Sequence[str],
        user: User,
        env: Mapping[str, str],
        *,
        volumes: Mapping[str, Path] | None = None,
        wd: str = "/",
    ) -> None:
        need_mounts()
        self.image, self.user, self.wd = image, user, wd
        self.env = {"PATH": f"/local:{PATH}", "PYTHONDONTWRITEBYTECODE": "1", **env}
        for inside, here in (volumes or {}).items():
            image.bind(inside, here)
        self.command = [*self._as_user(self.env), *command]

    def _as_user(self, env: Mapping[str, str]) -> list[str]:
        return [*self.user.words(), "env", "-i", *(f"{k}={v}" for k, v in env.items())]

    def _words(self) -> list[str]:
        binds = " ".join(f"{here}:{inside}" for inside, here in self.image.binds.items())
        space = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [
            *space,
            "sh",
            "-euc",
            MOUNTS,
            "sh",
            str(self.image.root),
            self.wd,
            binds,
            *self.command,
        ]

    def run(self) -> Completed[bytes]:
        """To its end, as an init container."""
        return run(self._words(), environment())

    def __enter__(self) -> Container:
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self._words(),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(AssertionError, ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()  # and with it all of its process namespace
                self.process.wait()
        if kind is not None:
            print(self.output())
        self._log.close()

    @property
    def pid(self) -> int:
        """Of its process 1, as it is seen from outside, once it is in its root."""

        def look() -> int | None:
            assert self.process.poll() is None, self.output()
            for pid in children(self.process.pid):
                root = Path(f"/proc/{pid}/root")
                if root.samefile(self.image.root) and root.parent.stat().st_uid == self.user.uid:
                    return pid
            return None

        return wait_for("its first process", look)

    def output(self) -> str:
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def said(self, pattern: str) -> str:
        def look() -> re.Match[str] | None:
            assert self.process.poll() is None, self.output()
            return re.search(pattern, self.output())

        return wait_for(pattern, look)[1]

    def exec(self, *command: str, **more: str) -> Completed[bytes]:
        """Another process in it, with the container's own environment: a probe, an operator."""
        enter = [
            "nsenter",
            "-t",
            str(self.pid),
            "--mount",
            "--pid",
            f"--root=/proc/{self.pid}/root",
        ]
        enter.append(f"--wd=/proc/{self.pid}/root{self.wd}")
        return run([*enter, *self._as_user({**self.env, **more}), *command], environment())

    def environ(self, pid: int) -> dict[str, str]:
        words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return dict(word.split("=", 1) for word in words if "=" in word)
