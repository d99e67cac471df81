"""How matplotlib shows figures here: every open one is saved as figure-1.png, figure-2.png … and closed.

Given to matplotlib as its backend.
"""

from __future__ import annotations

import os

from matplotlib import pyplot
from matplotlib.backends.backend_agg import (
    FigureCanvasAgg as FigureCanvas,  # noqa: F401 - the name by which matplotlib takes a backend's canvas
)


def show(*_args: object, **_kwargs: object) -> None:
    """What ``plt.show()`` calls, and the end of the code."""
    for figure in pyplot.get_fignums():
        number = 1
        while os.path.exists(name := f"figure-{number}.png"):  # noqa: PTH110 - runs where little is loaded
            number += 1
        pyplot.figure(figure).savefig(name, dpi=120)
        pyplot.close(figure)
