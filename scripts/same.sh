#!/bin/bash
# same.sh: mainline's selftests end as before. They are built from the pristine
# tree and run on its kernel, on the patched one, in a container and in a pid
# namespace; same.py compares. ARGS: COLLECTION:TEST patterns.
# The last line is "N passed, N failed".
. "$(dirname "$0")/lib.sh"

collections=(clone3 pidfd pid_namespace namespaces proc ptrace futex seccomp kcmp
	coredump exec timens cgroup signal prctl core)
out=$builds/same src=$builds/same-tests
image=$out/arch/x86/boot/bzImage tests=$builds/same-tests.squashfs

# Some of the tests' Makefiles write next to their sources: work in a copy.
build_tests() {
	local log=$cache/log/same-tests.log key
	key=$({ cat "$0"; sha256sum "$pristine/Makefile"; } | sha256sum)
	[[ -e $tests && $(cat "$tests.key" 2>/dev/null) == "$key" && -z ${TREE:-} ]] && return
	say "  building the selftests"
	rm -rf "$src" "$tests.key" "$tests"
	mkdir -p "$src"
	(cd "$pristine" && find Makefile scripts tools/{include,scripts,arch,testing/selftests} \
		include samples/check-exec -print0 | cpio -0pdl --quiet "$src") > "$log" 2>&1
	kmake "$pristine" "$out" headers >> "$log" 2>&1
	# What fails to build is not in the list of tests, before and after. The
	# coredump tests rely on a libc that brings offsetof() with other headers.
	env -u ARCH make -C "$src/tools/testing/selftests" O="$out" TARGETS="${collections[*]}" \
		CC=gcc USERCFLAGS='-include stddef.h' KSFT_INSTALL_PATH="$src/install" -j"$jobs" install >> "$log" 2>&1 || {
		tail -n 20 "$log" >&2
		die "the selftests (log: $log)"
	}
	# Makefiles that leave something out say so, into the list as well.
	sed -i -E '/^[a-z0-9_]+:[^ ]+$/!d' "$src/install/kselftest-list.txt"
	local collection
	for collection in "${collections[@]}"; do
		grep -q "^$collection:" "$src/install/kselftest-list.txt" || die "no test of $collection was built (log: $log)"
	done
	mksquashfs "$src/install" "$tests" -comp zstd -noappend -no-progress -processors "$jobs" >> "$log"
	echo "$key" > "$tests.key"
}

"$root/scripts/setup.sh" "$root/ci/rootfs/same.txt"
disk=$("$root/scripts/rootfs.sh" trixie)
"$root/scripts/build.sh" base
initrd=$("$root/scripts/initramfs.sh" "$tree" "$builds/base")
# The pristine tree with the configuration of the patched kernel.
with_lock "build-${place##*/}-same" build_kernel "$pristine" "$out" base "$cache/log/build-same.log"
with_lock "build-${place##*/}-same" build_tests
set -f
# shellcheck disable=SC2086  # patterns
exec "$root/scripts/same.py" "$image" "$builds/base/arch/x86/boot/bzImage" "$initrd" "$disk" \
	"$tests" "$root/ci/same-allowed.txt" "$cache/log" ${ARGS:-}
