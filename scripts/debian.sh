#!/bin/bash
# debian.sh JOB [BOOT-OPTION...]: job.sh in a guest of Debian packages, which
# rootfs.sh makes; for the jobs that need real programs.
. "$(dirname "$0")/lib.sh"

job=$1
shift
disk=$("$root/scripts/rootfs.sh" trixie)
exec "$root/scripts/job.sh" "$job" base --disk "$disk" --timeout 1200 "$@"
