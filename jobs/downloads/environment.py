"""Settings of the hubs' clients, which read them from the environment when they are imported: so this comes first."""

from __future__ import annotations

import os
from pathlib import Path

WEEK_S = 7 * 24 * 3600


def prepare(home: Path, timeout_s: int) -> None:
    """Make the clients keep to ``home`` (the job's folder), say nothing about this machine, and give up a silent line.

    ``timeout_s``: seconds without a byte after which they try again.
    """
    for name in list(os.environ):
        # A person's own login, cache or offline mode is not this job's: tokens come from the workspace's secrets.
        if name.startswith(("HF_", "HUGGING", "MODELSCOPE_")) or name == "TRANSFORMERS_OFFLINE":
            del os.environ[name]
    home.mkdir(exist_ok=True)
    os.environ |= {
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        # Xet leaves nothing on the disk from which a transfer that was cut off could go on, and mirrors do not speak it.
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": str(timeout_s),
        "HF_HUB_ETAG_TIMEOUT": str(timeout_s),
        "MODELSCOPE_HOME": str(home),
        "MODELSCOPE_CACHE": str(home),
        "MODELSCOPE_LOG_LEVEL": "WARNING",
        "MODELSCOPE_API_TIMEOUT": str(timeout_s),
        "MODELSCOPE_API_CONNECT_TIMEOUT": str(timeout_s),
        "MODELSCOPE_DOWNLOAD_TIMEOUT": str(timeout_s),
        "MODELSCOPE_REPO_TREE_PAGE_TIMEOUT_SECONDS": str(timeout_s),
        # Its default is an hour a file, too little for a large one on a slow line.
        "MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": str(WEEK_S),
        # The job's own lock keeps others out; and its probe for a nearer data centre asks addresses that nobody named.
        "MODELSCOPE_DOWNLOAD_FILE_LOCK": "false",
        "MODELSCOPE_DOWNLOAD_INTRA_CLOUD": "false",
        # One stream a file: parts would be merged into a second copy, for which no room was set aside.
        "MODELSCOPE_DOWNLOAD_PARALLEL_WORKERS": "1",
        "TQDM_DISABLE": "1",
    }
