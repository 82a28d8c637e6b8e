"""python -m gcpreload: becomes the command."""

import os
import sys

from gcpreload import COMMAND

os.execv(COMMAND, [COMMAND, *sys.argv[1:]])
