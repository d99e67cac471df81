"""``python -m backend NOUN VERB``: the panel's functions for scripts, and for the day when the page is not reachable."""

from backend.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
