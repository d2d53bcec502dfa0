#!/bin/bash
# dev-build.sh SRC [NAME [TARGET...]]: build straight from a developer's tree,
# without a copy, in $CACHE/build/dev-<basename of SRC>-<NAME>; prints the path
# of the bzImage. NAME is a ci/config name, base by default.
. "$(dirname "$0")/lib.sh"

src=$(cd "${1:?usage: dev-build.sh SRC [NAME [TARGET...]]}" && pwd) name=${2:-base}
shift $(($# < 2 ? $# : 2))
out=$cache/build/dev-$(basename "$src")-$name

build() {
	LAX=${LAX:-1} "$root/scripts/config.sh" "$src" "$out" "$name"
	build_objects "$src" "$out" "$cache/log/$(basename "$out").log" "${@:-bzImage}"
}
with_lock "$(basename "$out")" build "$@"
echo "$out/arch/x86/boot/bzImage"
