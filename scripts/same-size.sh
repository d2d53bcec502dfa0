#!/bin/bash
# same-size.sh OBJECT...: with the series switched off (the build "off"), the
# sections of an object are as large as those of the pristine tree.
. "$(dirname "$0")/lib.sh"

out=$builds/pristine

# Not the strings: __FILE__ is among them, and the trees have different names.
sections() {
	"llvm-size-$llvm" -A "$1" |
		awk '$1 ~ /^\.(text|data|bss|rodata|init|ref)/ && $1 !~ /\.str/ { print $1, $2 }'
}

compare() {
	local object status=0
	"$root/scripts/config.sh" "$pristine" "$out" off
	build_objects "$pristine" "$out" "$cache/log/build-pristine.log" "$@"
	for object in "$@"; do
		if diff <(sections "$out/$object") <(sections "$builds/off/$object"); then
			say "  $object: the same, $(sections "$out/$object" | awk '{ n += $2 } END { print n }') bytes"
		else
			status=1
		fi
	done
	return $status
}
with_lock "build-${place##*/}-pristine" compare "$@"
