#!/bin/bash
# demo-criu.sh: checkpoint and restart in one guest, then a migration to another:
# the disk is what both have. The last line counts the checks of both boots.
. "$(dirname "$0")/lib.sh"

data=$(mktemp)
trap 'rm -f "$data"' EXIT
truncate -s 512M "$data"
status=0
for job in criu-demo criu-arrive; do
	"$root/scripts/debian.sh" "$job" --data "$data" || status=1
done
cat "$cache"/log/base-criu-{demo,arrive}.console |
	awk '/^[0-9]+ checks, [0-9]+ failed/ { checks += $1; failed += $3 }
		END { printf "%d checks, %d failed\n", checks, failed }'
exit $status
