#!/bin/sh
# Print a Python 3.11 or 3.12 that can make virtual environments; say what to install where there is none.
#   PYTHON=/path/to/python make setup      chooses one by hand

fits='import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'

if [ -n "$PYTHON" ]; then
    candidates=$PYTHON
else
    # The one that made .venv first: another version would make the environment anew.
    candidates=".venv/bin/python python3.11 python3.12 python3 python"
fi
seen=""
for name in $candidates; do
    path=$(command -v "$name" 2>/dev/null) || continue
    if "$path" -c "$fits" >/dev/null 2>&1; then
        # Not the name that was found: a shim (pyenv, asdf) depends on the folder, and an environment cannot make itself anew.
        "$path" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
        exit 0
    fi
    seen="$seen $name ($("$path" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null || echo "does not start"))"
done

{
    echo "TuneDeck needs Python 3.11 or 3.12 with its venv module, and found none.${seen:+ Looked at:$seen.}"
    echo "On Debian or Ubuntu: sudo apt install python3 python3-venv. With conda: conda create -n py311 python=3.11, then activate it."
    echo "A Python elsewhere: make setup PYTHON=/path/to/python3.11"
} >&2
exit 1
