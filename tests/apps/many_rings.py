"""So many children that are ready, as servers' workers; says what they leave of the file system.

many_rings.py NUMBER DIR COMMAND...: COMMAND, gcpreload ps --json, says when they are; then a fifth
of DIR's file system is written to a file, as an application would.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time


def child(told):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    while not select.select([listener, told], [], [], 0.05)[0]:
        pass
    os._exit(0)


def shown(command):
    env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
    )
    return {"out": done.stdout.decode(), "err": done.stderr.decode(), "status": done.returncode}


def look(directory, command, pids):
    """Until all are settled: with a ring that is ready, or long without one."""
    deadline = time.monotonic() + 60
    while True:
        all_of_them = shown([*command])
        processes = json.loads(all_of_them["out"])
        ready = [p for p in processes if p["pid"] in pids and p["state"] == "ready"]
        without = [p for p in processes if p["pid"] in pids and p["state"] == "no-ring"]
        if len(ready) + len(without) == len(pids) or time.monotonic() > deadline:
            return processes, all_of_them["err"]
        time.sleep(0.1)


def main():
    number, directory, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    told, tell = os.pipe()
    pids = []
    for _ in range(number):
        pid = os.fork()
        if not pid:
            os.close(tell)
            child(told)
        pids.append(pid)
    processes, said = look(directory, command, pids)
    fs = os.statvfs(directory)
    text = shown([word for word in command if word != "--json"])
    application = os.path.join(directory, "application")
    try:
        with open(application, "wb") as file:
            file.write(bytes(fs.f_blocks * fs.f_frsize // 5))
        wrote = True
    except OSError as error:
        wrote = str(error)
    print(
        json.dumps(
            {
                "processes": [p for p in processes if p["pid"] in pids],
                "said": said,
                "text": text["out"] + text["err"],
                "free": fs.f_bavail / fs.f_blocks,
                "wrote": wrote,
            }
        )
    )
    os.close(tell)
    for pid in pids:
        os.waitpid(pid, 0)


main()
