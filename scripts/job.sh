#!/bin/bash
# job.sh JOB [NAME [BOOT-OPTION...]]: build, boot and run one job of
# ci/guest/jobs. ARGS: passed on to the job.
. "$(dirname "$0")/lib.sh"

job=$1 name=${2:-base}
shift $(($# < 2 ? $# : 2))
[[ $name != debug ]] || set -- --memory 2G "$@"
"$root/scripts/build.sh" "$name"
initrd=$("$root/scripts/initramfs.sh" "$tree" "$builds/$name")
exec "$root/scripts/guest.sh" "$tree" "$builds/$name/arch/x86/boot/bzImage" "$initrd" "$job" \
	"$cache/log/$name-$job.console" ${ARGS:+--args "$ARGS"} "$@"
