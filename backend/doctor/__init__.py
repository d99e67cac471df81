"""The doctor: what about this machine would spoil a person's day, measured, in plain words, with what to do about it.

findings.py  what a check says: state, evidence, meaning, fixes; templates that are translated when they are drawn
here.py      the machine as the checks see it; its files below a root that tests choose
run.py       all checks at once, each on its own: one that crashes or hangs is said to be unknown, and the rest goes on
report.py    the same for a colleague, as Markdown or JSON
masking.py   no secret leaves: passwords in addresses, tokens, keys
keeper.py    the last examination of this machine, kept for all sessions of a panel
The others hold the checks, by what they look at.

Covered: a check that raises, a file system or a program that never answers, a driver that crashes (for the panel, which
starts the doctor as a program of its own). Not covered: a machine on which Python itself cannot be started.
"""
