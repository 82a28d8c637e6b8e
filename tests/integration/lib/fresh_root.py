"""A Debian 12 as it was just installed, for a test to spoil: what is written is gone with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType

from lib.debian import other_debian
from lib.paths import DEADLINE, ROOT
from lib.run import Completed, environment, run

# Same pids, /tmp and checkout as outside; a /dev/shm of its own.
HOLD = """
lower=$1 place=$2 checkout=$3
mount -t tmpfs -o mode=755 none "$place"
mkdir "$place/up" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$place/up,workdir=$place/work" none "$place/root"
root=$place/root
for shared in /dev /proc /tmp "$checkout"; do
    mkdir -p "$root$shared"
    mount --rbind "$shared" "$root$shared"
done
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
exec unshare --root="$root" --wd=/ -- sh -c 'echo ready; exec cat'
"""

# Names of all files but of what is shared, and what would show that one is another one.
LOOK = """
import json, os
found = {}
for place, directories, names in os.walk("/"):
    directories[:] = [d for d in directories if not os.path.ismount(os.path.join(place, d))]
    for name in names + directories:
        path = os.path.join(place, name)
        about = os.lstat(path)
        link = os.readlink(path) if os.path.islink(path) else ""
        told = [about.st_mode, about.st_uid, about.st_gid, link]
        if name in names:
            told += [about.st_size, about.st_mtime_ns]
        found[path] = told
print(json.dumps(found))
"""
# What each installer writes of what it did. The directories of the mounts are not a part.
BOOKS = ("/root/.rpmdb", "/var/cache/", "/var/lib/dpkg/", "/var/log/")


class FreshRoot:
    """Use it in a with statement."""

    def __init__(self, place: Path) -> None:
        self.lower = other_debian("debian12")
        self.place = place

    def __enter__(self) -> FreshRoot:
        words = ["unshare", "--mount", "sh", "-euc", HOLD, "sh", self.lower, self.place, ROOT]
        self._holder = subprocess.Popen(
            [str(word) for word in words],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout.readline() == "ready\n"
        self.before = self.files()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holder.communicate(timeout=DEADLINE)  # its input ends, hence it does

    def words(self, *command: str | Path) -> list[str]:
        """Of the command that runs it there, with the pid of who starts it."""
        there = ["nsenter", "-t", self._holder.pid, "-m", "-r", "-w", "--", *command]
        return [str(word) for word in there]

    def run(self, *command: str | Path) -> Completed[bytes]:
        env = environment(PATH="/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND="noninteractive")
        return run(self.words(*command), env)

    def check(self, *command: str | Path) -> str:
        done = self.run(*command)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()

    def files(self) -> dict[str, list[object]]:
        return json.loads(self.check("python3", "-I", "-c", LOOK))

    def changes(self) -> set[str]:
        """Files that are new, gone or another one."""
        now = self.files()
        other = {path for path in {**self.before, **now} if self.before.get(path) != now.get(path)}
        return {path for path in other if not path.startswith(BOOKS)}
