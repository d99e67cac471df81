"""Side by side: the same prompt to up to four contenders (a model with its settings) at once, and which answer is better.

A column is an ordinary conversation (:mod:`backend.chat`), so an answer here lives as one there: written by the panel
process, saved while it is written, seen from every tab, interrupted when its panel is killed. What belongs together
(``comparisons``), asking all at once (``asking``), the verdicts (``votes``), what two answers do not share (``diff``),
and which models one would want to compare (``pairs``).

All of it lies in ``compare.db``: a file of its own, so that columns appear neither in the history of the chat nor in its
search, and a damaged file costs one of the two.
"""
