#!/bin/sh
# `make test`: all tests but benchmarks and those that need a GPU; arguments go to pytest.
# Files side by side, on two cores too: most tests wait for other programs, and one after the other takes an hour and a half on a slow machine.
# Of the browser tests fewer, since each brings a browser, a panel, a job and a model server. Neither half reads the other's files: that alone
# takes half a minute. pytest's 5 says that nothing was chosen.
set -u
unset PYTHONDONTWRITEBYTECODE # hundreds of programs are started: each would compile all of ours anew
python=.venv/bin/python
beside="--dist loadfile --no-loadscope-reorder"
"$python" -m pytest -m "not bench and not gpu and not e2e" --ignore=tests/e2e -n 4 $beside "$@"
first=$?
"$python" -m pytest -m "e2e and not bench and not gpu" --ignore=tests/unit --ignore=tests/pages --ignore=tests/jobs -n 3 $beside "$@"
second=$?
[ $first = 5 ] && [ $second = 5 ] && exit 5
[ $first = 5 ] && first=0
[ $second = 5 ] && second=0
exit $((first > second ? first : second))
