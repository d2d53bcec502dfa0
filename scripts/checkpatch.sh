#!/bin/bash
# checkpatch.sh PATCH: run $checkpatch on it, unless $results has the outcome.
# Called by lint.sh, in parallel.
set -euo pipefail
: "${checkpatch:?}" "${results:?}" "${version:?}"

result=$results/$(sha256sum "$1" | cut -c1-16)-$version
[[ -e $result ]] && exit
# It may leave a list of names where it is run.
cd "$results"
# stderr is only spdxcheck.py, which wants modules and a kernel's git. Status 1
# repeats that there is output.
status=0
perl "$checkpatch" --strict --terse --show-types --no-summary "$1" > "$result.$$" 2>/dev/null ||
	status=$?
if ((status > 1)) || { ((status)) && [[ ! -s $result.$$ ]]; }; then
	echo "checkpatch ended with status $status" >> "$result.$$"
fi
mv "$result.$$" "$result"
