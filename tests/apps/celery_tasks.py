"""Tasks of a Celery worker that keep sessions in cycles for a while, through a broker of files."""

import os
import weakref

from celery import Celery

FOLDER = os.environ["CELERY_FOLDER"]
FOLDERS = {
    name: os.path.join(FOLDER, part)
    for name, part in (
        ("data_folder_in", "queue"),
        ("data_folder_out", "queue"),
        ("control_folder", "control"),
    )
}
for folder in FOLDERS.values():
    os.makedirs(folder, exist_ok=True)

app = Celery("celery_tasks", broker="filesystem://", backend="file://" + FOLDER)
app.conf.broker_transport_options = FOLDERS
app.conf.broker_connection_retry_on_startup = True

HEAP = [[i, {}] for i in range(int(os.environ.get("CELERY_HEAP", "0")))]
SESSIONS = []
WATCHES = []
GONE = []


class Session:
    def __init__(self):
        self.entries = [[self, {"session": self}] for _ in range(3000)]


@app.task
def serve():
    """What became of the sessions of earlier tasks of this process."""
    SESSIONS.append(Session())
    WATCHES.append(weakref.ref(SESSIONS[-1], lambda watch: GONE.append(1)))
    del SESSIONS[:-10]
    return [os.getpid(), len(WATCHES), len(GONE)]
