"""Rows out of a few facts: a name and a maker (``identity``), a role (``persona``).

All wordings stand in files under ``data/`` that anybody can read and mend, one a line (``phrases``); ``grammar`` puts names
into them so that they read right, whatever the name. The same wish and seed give the same rows.
"""
