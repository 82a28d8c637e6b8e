"""Two copies of the library in one process: the first is used, and counts once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lib.paths import LIBRARY
from lib.puppet import Puppet
from lib.rings import ps, ring_files
from venvs import Interpreter


@pytest.mark.parametrize("mode", ["freeze", "concurrent"])
@pytest.mark.parametrize("separator", [":", " "])
def test_counted_once(
    mode: str, separator: str, one_of_two_pythons: Interpreter, ring_dir: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(LIBRARY, tmp_path))
    both = separator.join([str(LIBRARY), str(copy)])
    settings = {"LD_PRELOAD": both, "GCPRELOAD_MODE": mode}
    with Puppet(one_of_two_pythons, ring_dir, **settings) as puppet:
        puppet.do("one = listen()", "arm(one)", "garbage(60000)", "gc.collect()", "gc.disable()")
        maps = Path(f"/proc/{puppet.pid}/maps").read_text()
        assert str(LIBRARY) in maps
        assert str(copy) in maps
        assert puppet.do("len(gc.callbacks)") == 1
        (shown,) = ps(ring_dir)
        assert shown.state == "ready"
        assert shown.counts() == [
            {name: part[name] for name in ("collections", "collected", "uncollectable")}
            for part in puppet.do("gc.get_stats()")
        ]
    assert len(ring_files(ring_dir)) == 1
