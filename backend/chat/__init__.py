"""Talking to a model that runs here: what was said (``conversations``), how it is asked (``params``, ``history``,
``client``), and the answers being written now (``replies``).

An answer is written by the panel process, not by the page that asked: reloading, another tab or a dropped tunnel
change nothing. Its text is saved about once a second, so a panel that is killed loses at most that second.
"""
