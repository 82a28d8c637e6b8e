#!/usr/bin/env python3
"""Makes "/" a mount point where it is none, as in a plain chroot: there nothing can be mounted
without others seeing it, and unshare(1) refuses.

    scripts/own_root.py COMMAND...      runs it so; where that cannot be done, as it is

In a mount namespace of its own, the directory that is "/" is bound onto itself. Root only.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18


def is_mount_point() -> bool:
    """Of "/"; a chroot sees those mounts only that are below it."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == "/" for line in lines)


def _call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _bind_root() -> None:
    _call("unshare", CLONE_NEWNS)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        # The mount that "/" is in is not to be reached from here, but it must not pass on what is
        # mounted: entering a namespace leads to its own root, also the one that we are in.
        namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        _call("setns", namespace, CLONE_NEWNS)
        os.close(namespace)
        path = os.readlink(f"/proc/self/fd/{root}").encode()
        _call("mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
        _call("mount", path, path, None, ctypes.c_ulong(MS_BIND | MS_REC), None)
        os.chroot(path)
    except BaseException:
        os.fchdir(root)
        os.chroot(".")
        raise
    finally:
        os.close(root)


def own_root() -> str:
    """For this process and its children. Says why not; empty where "/" is a mount point now."""
    try:
        if is_mount_point():
            return ""
        here = os.getcwd()
        try:
            _bind_root()
        finally:
            os.chdir(here)
    except OSError as error:
        return f'"/" is no mount point, and cannot be made one: {error.strerror}'
    return ""


def main() -> None:
    own_root()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
