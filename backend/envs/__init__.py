"""The environments of engines: where they lie, whether they are there and proven, and what making one would take.

locks.py    the exact packages of one engine and flavour, read from ``backend/engines/locks``
places.py   where environments lie on this machine; the one in use, the one being made
status.py   what a page shows of one: state, versions, size, the last self-test
planning.py what an install would do here: flavour, packages, bytes, room; and why not
running.py  how a program is started in one: its Python, its variables, our patches on its path
pip.py      pip as it is run: index, proxy, offline folder; what its failures mean
removing.py taking one away
jobs.py     the jobs that do these things: asked for once, found again by their engine
"""
