#!/bin/bash
# rootfs.sh SUITE: a squashfs of Debian SUITE with the packages of
# ci/rootfs/SUITE.txt, from the machine's mirror; prints its path. Made once: it
# is made again when what it is made from here changes, not when Debian does.
. "$(dirname "$0")/lib.sh"

suite=$1
list=$root/ci/rootfs/$suite.txt
dir=$cache/rootfs

make_rootfs() { # IMAGE, in mount and pid namespaces of its own
	local image=$1 mirror key packages
	find_mirror || die "apt knows no Debian mirror"
	packages=$(sed '/^#/d' "$list" | paste -sd,)
	# Nothing in it may start a service; what is only to be read stays away.
	mmdebstrap --mode=root --format=directory --variant=essential --include="$packages" \
		--aptopt='APT::Install-Recommends false' \
		--aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		"$suite" "$image.dir" "deb [signed-by=$key] $mirror $suite main"
	mksquashfs "$image.dir" "$image.tmp" -comp zstd -Xcompression-level 6 -noappend \
		-no-progress -processors "$jobs"
	rm -rf --one-file-system "$image.dir"
	mv "$image.tmp" "$image"
}

rootfs() {
	local image log=$cache/log/rootfs-$suite.log
	image=$dir/$suite-$(hash_of "$0" "$list").squashfs
	if [[ ! -e $image ]]; then
		say "  building the root file system of $suite"
		mkdir -p "$dir" "$cache/log"
		# However this ends, all processes go with it, and with them the mounts.
		rm -rf --one-file-system "$dir"/*.dir "$dir"/*.tmp
		export -f make_rootfs find_mirror die say
		export suite list jobs root
		# shellcheck disable=SC2016  # it is that bash which expands it
		setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
			bash -euo pipefail -c 'make_rootfs "$1"' make_rootfs "$image" > "$log" 2>&1 || {
			tail -n 20 "$log" >&2
			die "no root file system of $suite (log: $log)"
		}
		find "$dir" -name "$suite-*.squashfs" -not -newer "$image" -not -path "$image" -delete
	fi
	echo "$image"
}

"$root/scripts/setup.sh" "$root/ci/rootfs/host.txt"
with_lock "rootfs-$suite" rootfs
