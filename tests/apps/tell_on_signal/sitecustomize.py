"""For servers without an application of ours: SIGUSR2 has them tell what their collector shows.

From then on nothing is collected any more, so that the numbers stay as they are.
"""

import gc
import json
import os
import signal


def tell(number, frame):
    gc.disable()
    state = {
        "pid": os.getpid(),
        "stats": gc.get_stats(),
        "thresholds": gc.get_threshold(),
        "frozen": gc.get_freeze_count(),
    }
    path = os.environ["TELL_INTO"]
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)


if "TELL_INTO" in os.environ:
    signal.signal(signal.SIGUSR2, tell)
