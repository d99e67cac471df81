"""``python -m backend.doctor``: examine this machine and print what was found, for the panel (see keeper.py).

People use ``make doctor`` or ``python -m backend doctor``.
"""

import json
import os
import sys

from backend.doctor.run import examine

if __name__ == "__main__":
    print(json.dumps(examine().to_dict()))  # noqa: T201 - that is what it is for
    sys.stdout.flush()
    # Threads that hang on a dead file system are not waited for.
    os._exit(0)
