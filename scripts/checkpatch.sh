#!/bin/bash
# checkpatch.sh PATCH: run $checkpatch on it, unless $results has the outcome.
# Called by lint.sh, in parallel.
set -euo pipefail
: "${checkpatch:?}" "${results:?}" "${version:?}"

result=$results/$(sha256sum "$1" | cut -c1-16)-$version
[[ -e $result ]] && exit
# Its exit status only repeats that it said something.
# From /: inside a git repository it would want spdxcheck.py and its modules.
cd /
perl "$checkpatch" --strict --terse --show-types --no-summary "$1" > "$result.$$" 2>&1 || true
mv "$result.$$" "$result"
