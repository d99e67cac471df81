#!/bin/sh
# `make test`: all tests but benchmarks and those that need a GPU; arguments go to pytest.
# Files side by side, as many as there are cores (four at most): most tests wait for other programs. Then the browser tests, one after
# the other: a browser, a panel, a job and a model server are enough for two cores. pytest's 5 says that nothing was chosen.
set -u
python=.venv/bin/python
"$python" -m pytest -m "not bench and not gpu and not e2e" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
first=$?
"$python" -m pytest -m "e2e and not bench and not gpu" "$@"
second=$?
[ $first = 5 ] && [ $second = 5 ] && exit 5
[ $first = 5 ] && first=0
[ $second = 5 ] && second=0
exit $((first > second ? first : second))
