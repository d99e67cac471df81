"""How the threads of one computation wait for each other; to be said before torch is loaded.

Left alone, they wait by spinning, which on a machine with other work takes several times as long as the work itself (measured: a
step of 0.6 CPU-seconds took 3.5). Asleep at once, they pay for each of the thousand small operations of a step with a wake-up.
So they spin for as long as a wake-up takes, and then sleep.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = 10_000
"""Some tens of microseconds. With the starter, two threads on two cores: 1,730 tokens/s; asleep at once 1,430; spinning on 1,640."""


def wait_briefly(variables: MutableMapping[str, str] | None = None) -> None:
    """Set it in ``variables`` (default: of this process), unless the person who started it said otherwise."""
    found = os.environ if variables is None else variables
    if "OMP_WAIT_POLICY" not in found:
        found["OMP_WAIT_POLICY"] = "PASSIVE"
        found.setdefault("GOMP_SPINCOUNT", str(SPINS))
