#!/bin/bash
# programs.sh [JOB [BOOT-OPTION...]]: job.sh with the root file system of Debian
# packages as the guest's disk; the job is programs by default.
. "$(dirname "$0")/lib.sh"

job=${1:-programs}
shift $(($# < 1 ? $# : 1))
disk=$("$root/scripts/rootfs.sh" trixie)
exec "$root/scripts/job.sh" "$job" base --disk "$disk" --timeout 1200 "$@"
