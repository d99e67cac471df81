"""Whether a package can be imported here, asked as often as a page likes: a list of models asks once for each of them.

What was found is true until a folder of ``sys.path`` changes, which is also what Python itself goes by. Imports nothing.
"""

from __future__ import annotations

import importlib.util
import os
import sys

_Stamp = tuple[tuple[str, int], ...]
_found: dict[str, tuple[_Stamp, bool]] = {}


def there(module: str) -> bool:
    """Whether ``module`` (of the top level) is installed for the Python that runs this."""
    stamp, known = _stamp(), _found.get(module)
    if known is None or known[0] != stamp:
        known = _found[module] = (stamp, importlib.util.find_spec(module) is not None)
    return known[1]


def _stamp() -> _Stamp:
    return tuple((folder, _changed(folder)) for folder in sys.path)


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116 - asked by the thousand: a Path costs more than the call
    except OSError:
        return 0
