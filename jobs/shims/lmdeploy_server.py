"""LMDeploy's own command line, run so that a server's key stays off it: `python lmdeploy_server.py serve api_server MODEL ...`.

LMDeploy takes API keys as arguments only (`--api-keys`), and everybody on a machine can read the arguments of every
program. Here the key comes in the environment variable TUNEDECK_SERVER_KEY and is added to the arguments inside this
process, where Python keeps them; what `ps` shows does not change. Without the variable there is no key.

A server that was started by a job leaves when the job does: its standard input is the end of a pipe (TUNEDECK_LEAVE=1),
and all that LMDeploy started is in its process group.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

KEY_VARIABLE = "TUNEDECK_SERVER_KEY"
LEAVE_VARIABLE = "TUNEDECK_LEAVE"


def main() -> None:
    """Hand over to LMDeploy; returns or raises as it does."""
    key = os.environ.pop(KEY_VARIABLE, "")
    if os.environ.pop(LEAVE_VARIABLE, ""):
        threading.Thread(target=_leave_with_job, name="leave-with-job", daemon=True).start()
    from lmdeploy.cli import run  # type: ignore[import-not-found]  # it is there, in its environment

    sys.argv[0] = "lmdeploy"
    if key:
        # Before all else: --adapters takes every word that follows it.
        sys.argv[4:4] = [f"--api-keys={key}"]
    run()


def _leave_with_job() -> None:
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


# LMDeploy starts processes that import this file again.
if __name__ == "__main__":
    main()
