#!/bin/sh
# Have Chromium for the browser tests: nothing to do where it is, apt-get where we may, a clear sentence elsewhere.
# Without it the browser tests are skipped on a desk and fail in CI.

# The same two places as in tests/support/browser.py, in the same order.
if [ -n "${TUNEDECK_CHROMIUM:-}" ]; then
    set -- "$TUNEDECK_CHROMIUM"
else
    set -- /usr/bin/chromium-headless-shell /usr/bin/chromium
fi
for place in "$@"; do
    [ -x "$place" ] && exit 0
done

give_up() {
    echo "The browser tests need Chromium at $place. $1" >&2
    [ -z "$CI" ]
    exit
}

for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    found=$(command -v "$name" 2>/dev/null) && give_up "There is one elsewhere: call this again with TUNEDECK_CHROMIUM=$found"
done
command -v apt-get >/dev/null 2>&1 || give_up "Install it with this system's package manager."
if [ "$(id -u)" = 0 ]; then
    become=""
elif sudo -n true 2>/dev/null; then
    become="sudo -n"
else
    give_up "Installing it needs root: sudo apt-get install chromium"
fi

echo "Installing Chromium for the browser tests."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
install() { $become apt-get install -y --no-install-recommends "$1" >>"$log" 2>&1; }
# The lists of a fresh image are empty; those of an old one may name files that are gone. The shell is smaller and quicker, but not
# every system has it.
if $become apt-get update >"$log" 2>&1 && { install chromium-headless-shell || install chromium; }; then
    rm -f "$log"
else
    give_up "apt-get could not install it: $(grep -E '^E:' "$log" | tail -n 1) The whole story: $log"
fi
