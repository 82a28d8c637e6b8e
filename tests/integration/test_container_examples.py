"""Dockerfiles and manifest of examples/, done as they say: not root, a read-only root, 64 MB."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from lib.container import Container, Image, User, instructions, words_of, yaml_of
from lib.export import PROGRAM
from lib.metrics import fetch, one, parsed
from lib.paths import APPS, ROOT, SET_UP_DEADLINE
from lib.rings import command
from lib.run import environment, run, wait_for
from venvs import Interpreter

EXAMPLES = ROOT / "examples"
INJECTED = "/injected/launcher.preload.so"
# Would be tuned, and have a ring, if it were not left alone.
LIKE_A_SERVER = """
import gc, select, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
select.select([listener], [], [], 0)
gc.collect()
print(sys.argv[0], gc.get_threshold()[0])
"""
LEFT_ALONE = "700"  # CPython's own


@pytest.fixture(scope="module")
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/opt/gcpreload of the image gcpreload, made by the command that its Dockerfile has."""
    steps = instructions((EXAMPLES / "Dockerfile.gcpreload").read_text())
    (made,) = (what for kind, what in steps if kind == "RUN" and what.startswith("make "))
    (copied,) = (what for kind, what in steps if kind == "COPY" and "--from=build" in what)
    into = tmp_path_factory.mktemp("image")
    words = [f"DESTDIR={into}" if w == "DESTDIR=/out" else w for w in made.split()]
    words[words.index("/src")] = str(ROOT)
    if request.config.getoption("--all"):
        words[words.index("B=/build")] = f"B={into}/build"
    else:  # what is built already, and not static
        words = [word for word in words if word not in ("B=/build", "STATIC=1")]
    done = run(words, environment(), deadline=SET_UP_DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    assert copied.split()[1:] == ["/out/opt/gcpreload", "/opt/gcpreload"]
    return into / "opt" / "gcpreload"


def image_of(files: Path, root: Path) -> Image:
    image = Image(root)
    image.bind("/opt/gcpreload", files)
    return image


def application(root: Path, python: Interpreter, workdir: str = "/app") -> Image:
    image = Image(root)
    image.with_gunicorn(python)
    image.write(f"{workdir}/shop.py", (APPS / "wsgi.py").read_bytes())
    for script in ("migrate.py", "probe.py"):
        image.write(f"{workdir}/{script}", LIKE_A_SERVER.encode())
    return image


def anywhere(words: list[str]) -> list[str]:
    """The containers of the tests share the machine's network: a port that is free."""
    bound = [re.sub(r"^0\.0\.0\.0:\d+$", "127.0.0.1:0", word) for word in words]
    return [re.sub(r"exec gunicorn ", "exec gunicorn --bind 127.0.0.1:0 ", word) for word in bound]


def workers_in(container: Container, *words: str, number: int) -> list[dict[str, Any]]:
    """Ready, as the container's own `gcpreload ps` says."""

    def look() -> list[dict[str, Any]] | None:
        done = container.exec(*words, "ps", "--json")
        assert done.returncode == 0, done.stderr.decode()
        found = [one for one in json.loads(done.stdout) if one["state"] == "ready"]
        return found if len(found) == number else None

    return wait_for(f"{number} workers that are ready", look)


def every_command(container: Container, *words: str) -> set[str]:
    """Of what has or had a ring."""
    done = container.exec(*words, "ps", "--all", "--json")
    shown = [p for p in json.loads(done.stdout) if p["state"] not in ("starting", "no-ring")]
    return {Path(process["command"].split()[1]).name for process in shown}


def test_it_takes_two_lines() -> None:
    steps = instructions((EXAMPLES / "Dockerfile").read_text())
    assert sum("gcpreload" in what for _, what in steps) == 2


def test_dockerfile(
    files: Path, system_python: Interpreter, empty_library: Path, tmp_path: Path
) -> None:
    steps = instructions((EXAMPLES / "Dockerfile").read_text())
    said = dict(steps)
    image = application(tmp_path / "root", system_python, said["WORKDIR"])
    (copied,) = (what for kind, what in steps if kind == "COPY" and "--from=gcpreload" in what)
    assert copied.split()[1] == "/opt/gcpreload"
    shutil.copytree(files, image.root / copied.split()[2][1:])
    image.write(INJECTED, empty_library.read_bytes())
    entry = words_of(said["ENTRYPOINT"])
    words = [*entry, *anywhere(words_of(said["CMD"]))]
    user = User(int(said["USER"]), int(said["USER"]))
    gcpreload = entry[0]
    env = {"LD_PRELOAD": INJECTED, "GCPRELOAD_MODE": "freeze"}
    with Container(image, words, user, env, wd=said["WORKDIR"]) as container:
        container.said(r"Listening at: http://127\.0\.0\.1:(\d+)")
        ready = workers_in(container, gcpreload, number=2)
        assert {process["uid"] for process in ready} == {user.uid}
        # As `docker run IMAGE python migrate.py`, and as a HEALTHCHECK.
        for script in ("migrate.py", "probe.py"):
            for done in (
                container.exec(*entry, "python", script),
                container.exec("python", script),
            ):
                assert done.stdout.decode().split() == [script, LEFT_ALONE], done.stderr
        assert every_command(container, gcpreload) == {"gunicorn"}
        room = container.exec("df", "--output=size", "-B1M", "/dev/shm").stdout.split()[-1]
        assert room == b"64"
        assert container.exec("touch", "/app/x").returncode != 0
        environ = container.environ(container.pid)
        assert environ["LD_PRELOAD"] == f"/opt/gcpreload/libgcpreload.so:{INJECTED}"
        maps = Path(f"/proc/{container.pid}/maps").read_text()
        assert all(path in maps for path in environ["LD_PRELOAD"].split(":"))


class Pod:
    """The parts of the manifest, with volumes that are directories here."""

    def __init__(self, spec: dict[str, Any], volumes: dict[str, Path]) -> None:
        self.spec, self.volumes = spec, volumes
        self.group = spec["securityContext"]["fsGroup"]
        for path in volumes.values():
            path.mkdir(exist_ok=True)
            shutil.chown(path, 0, self.group)
            path.chmod(0o2777)

    def part(self, name: str, of: str = "containers") -> dict[str, Any]:
        (found,) = (part for part in self.spec[of] if part["name"] == name)
        return found

    def start(self, part: dict[str, Any], image: Image, **env: str) -> Container:
        context = {**self.spec["securityContext"], **part["securityContext"]}
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        user = User(context["runAsUser"], context["runAsGroup"], (self.group,))
        assert user.uid != 0
        named = {one["name"]: one["value"] for one in part.get("env", [])}
        places = {one["mountPath"]: self.volumes[one["name"]] for one in part["volumeMounts"]}
        words = anywhere([*part["command"], *part.get("args", [])])
        return Container(image, words, user, {**named, **env}, volumes=places, wd="/app")


@pytest.fixture
def pod(system_python: Interpreter, ring_dir: Path, tmp_path: Path) -> Pod:
    manifest = yaml_of(EXAMPLES / "kubernetes.yaml", system_python)
    spec = manifest["spec"]["template"]["spec"]
    ring_dir.chmod(0o755)
    return Pod(spec, {"rings": ring_dir / "rings", "gcpreload": tmp_path / "volume"})


def copy_into_the_volume(pod: Pod, files: Path, root: Path) -> None:
    image = image_of(files, root)
    (image.root / "app").mkdir()
    done = pod.start(pod.part("gcpreload", "initContainers"), image).run()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_init_container_replaces_whole_files(pod: Pod, files: Path, tmp_path: Path) -> None:
    copy_into_the_volume(pod, files, tmp_path / "first")
    place = pod.volumes["gcpreload"]
    library = place / "libgcpreload.so"
    with library.open("rb") as mapped:
        inode = library.stat().st_ino
        newer = Path(shutil.copytree(files, tmp_path / "newer"))
        (newer / library.name).write_bytes(b"of another version")
        copy_into_the_volume(pod, newer, tmp_path / "second")
        assert library.stat().st_ino != inode
        assert library.read_bytes() == b"of another version"
        assert mapped.read() == (files / library.name).read_bytes()
    assert sorted(path.name for path in place.iterdir()) == ["gcpreload", library.name]


@pytest.mark.parametrize("limited", [True, False], ids=["", "without-only"])
def test_pod(
    limited: bool,
    pod: Pod,
    files: Path,
    system_python: Interpreter,
    empty_library: Path,
    tmp_path: Path,
) -> None:
    """The last one shows that the migration would be tuned if GCPRELOAD_ONLY did not say more."""
    copy_into_the_volume(pod, files, tmp_path / "init")
    shop = pod.part("shop")
    if not limited:
        shop["env"] = [one for one in shop["env"] if one["name"] != "GCPRELOAD_ONLY"]
    image = application(tmp_path / "shop", system_python)
    image.write(INJECTED, empty_library.read_bytes())
    settings = {"GCPRELOAD_SAMPLE": "1", "GCPRELOAD_MODE": "freeze", "LD_PRELOAD": INJECTED}
    with pod.start(shop, image, **settings) as container:
        container.said(r"Listening at: http://127\.0\.0\.1:(\d+)")
        ready = workers_in(container, shop["command"][0], number=4)
        assert {process["service"]["name"] for process in ready} == {"shop"}
        assert (f"migrate.py {LEFT_ALONE}\n" in container.output()) == limited
        if not limited:
            assert every_command(container, shop["command"][0]) == {"gunicorn", "migrate.py"}
            return
        preload = container.environ(container.pid)["LD_PRELOAD"]
        assert preload == f"/gcpreload/libgcpreload.so:{INJECTED}"
        probe = shop["readinessProbe"]["exec"]["command"]
        for more in ({}, {"LD_PRELOAD": preload}):  # as kubelet asks, and below a worker
            done = container.exec(*probe, **more)
            assert (done.stdout.decode(), done.stderr) == (f"probe.py {LEFT_ALONE}\n", b"")
        assert every_command(container, shop["command"][0]) == {"gunicorn"}
        look_from_beside(pod, image_of(files, tmp_path / "beside"), ready)


def look_from_beside(pod: Pod, image: Image, ready: list[dict[str, Any]]) -> None:
    """The side-car has the directory alone, and is another user."""
    (image.root / "app").mkdir()
    part = pod.part("gcpreload-export")
    if not PROGRAM.exists():
        part["command"] = ["sleep", "600"]
    else:
        port = part["command"].index("--listen") + 1
        assert part["command"][port] == f":{part['ports'][0]['containerPort']}"
        part["command"][port] = "127.0.0.1:0"
    with pod.start(part, image) as beside:
        done = beside.exec(
            "/opt/gcpreload/gcpreload", "ps", "--json", "--dir", "/rings", "--all-users"
        )
        assert done.returncode == 0, done.stderr.decode()
        seen = [p for p in json.loads(done.stdout) if p["state"] == "ready"]
        assert {p["file"] for p in seen} == {p["file"] for p in ready}
        if PROGRAM.exists():
            number = beside.said(r"/metrics on 127\.0\.0\.1:(\d+)")
            samples = parsed(fetch(f"http://127.0.0.1:{number}/metrics")[1])
            assert one(samples, "gcpreload_tuned_processes") == len(ready)
    assert command("ps", "--dir", pod.volumes["rings"], "--all-users").returncode == 0


@pytest.mark.parametrize("before", [None, "", "/a.so", "/a.so:/b.so", "/a.so /b.so"])
def test_entry_point_in_the_shell(before: str | None, empty_library: Path, tmp_path: Path) -> None:
    """docs/containers.md has it. Each library is loaded once, in this order."""
    text = (ROOT / "docs" / "containers.md").read_text()
    script = "\n".join(re.findall(r'^    (export LD_PRELOAD=.*|exec "\$@")$', text, re.M))
    assert script.count("\n") == 1
    script = script.replace("/gcpreload/", f"{tmp_path}/")
    for name in ("libgcpreload.so", "a.so", "b.so"):
        shutil.copy(empty_library, tmp_path / name)
    there = before if before is None else before.replace("/", f"{tmp_path}/")
    env = environment()
    if there is not None:
        env["LD_PRELOAD"] = there
    done = run(["sh", "-c", script, "sh", "cat", "/proc/self/environ", "/proc/self/maps"], env)
    assert (done.returncode, done.stderr) == (0, b"")
    (value,) = re.findall(r"(?:^|\0)LD_PRELOAD=([^\0]*)\0", done.stdout.decode())
    expected = [f"{tmp_path}/libgcpreload.so", *(there or "").replace(" ", ":").split(":")]
    assert re.split("[: ]", value) == [path for path in expected if path]
    loaded = set(re.findall(rf"{tmp_path}/\w+\.so", done.stdout.decode().rpartition("\0")[2]))
    assert loaded == {path for path in expected if path}
