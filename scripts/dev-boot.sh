#!/bin/bash
# dev-boot.sh SRC JOB [NAME [BOOT-OPTION...]]: build a developer's tree where it
# is (dev-build.sh) and run one job of ci/guest/jobs in it.
. "$(dirname "$0")/lib.sh"

src=$(realpath -e "$1") job=$2 name=${3:-base}
shift $(($# < 3 ? $# : 3))
id=dev-$(basename "$src")-$name
image=$("$root/scripts/dev-build.sh" "$src" "$name")
initrd=$("$root/scripts/initramfs.sh" "$src" "$cache/build/$id")
exec "$root/scripts/guest.sh" "$src" "$image" "$initrd" "$job" "$cache/log/$id-$job.console" "$@"
