#!/bin/bash
# build.sh NAME: the tree, configured by ci/config/NAME.config and built. Nothing
# is done when nothing that goes into it has changed.
. "$(dirname "$0")/lib.sh"

name=$1
out=$builds/$name image=$builds/$name/arch/x86/boot/bzImage

build() {
	local key
	key=$({
		cat "$tree.state.key" "$root/scripts/lib.sh" "$root/scripts/config.sh"
		sha256sum "$root"/ci/config/*
		clang-$llvm --version
		/usr/bin/rustc --version
		readlink "$cache/bindgen"
	} | sha256sum)
	# The user's own tree is looked through by make each time.
	[[ -e $image && $(cat "$out/.key" 2>/dev/null) == "$key" && -z ${TREE:-} ]] && return
	rm -f "$out/.key"
	say "  building $name"
	"$root/scripts/config.sh" "$tree" "$out" "$name"
	build_objects "$tree" "$out" "$log" bzImage
	echo "$key" > "$out/.key"
}

log=$cache/log/build-$name.log
"$root/scripts/tree.sh"
with_lock "build-${place##*/}-$name" build
