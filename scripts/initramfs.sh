#!/bin/bash
# initramfs.sh SRC OUT: build the guest's file system for the tree SRC that was
# built in OUT (it gives the UAPI headers); prints its path. Cached by content.
. "$(dirname "$0")/lib.sh"

src=$1 out=$2
selftests=$src/tools/testing/selftests
guest=$root/ci/guest
programs=(/bin/dash /usr/bin/ps /usr/bin/pgrep /usr/bin/pkill)

# What the image is made of; the key of the cache.
inputs() {
	sha256sum "$0" "$guest/init" "$guest"/jobs/* "$guest"/*.c "$guest"/*.py "$guest"/preload/*.c
	sha256sum /bin/bash-static /bin/busybox "${programs[@]}"
	[[ ! -d $selftests/pidspace ]] || {
		find "$selftests"/{pidspace,pid_namespace} "$src/include/uapi" -type f -print0 |
			sort -z | xargs -0 sha256sum
		sha256sum "$selftests"/*.{h,mk}
	}
}

# Build and install the kselftests with their own Makefile, static.
kselftests() {
	local dir=$1 build=$work/kselftest
	mkdir -p "$dir" "$build"
	: > "$dir/list"
	[[ -d $selftests/pidspace ]] || return 0
	kmake "$src" "$out" headers >&2
	# Its OUTPUT is absolute, so that nothing is written into the tree. MAKELEVEL
	# as when the top-level selftests Makefile calls it.
	make -C "$selftests/pidspace" MAKELEVEL=1 OUTPUT="$build" CC=gcc \
		KHDR_INCLUDES="-isystem $out/usr/include" USERCFLAGS="-O2 -Werror" \
		USERLDFLAGS=-static -j"$jobs" all >&2
	make -C "$selftests/pidspace" MAKELEVEL=1 OUTPUT="$build" CC=gcc \
		INSTALL_PATH="$dir" install >&2
	make -s -C "$selftests/pidspace" MAKELEVEL=1 OUTPUT="$build" CC=gcc \
		COLLECTION=pidspace emit_tests | sed 's/^pidspace://' > "$dir/list"
	[[ -s $dir/list ]] || die "the kselftests installed no program"
	# Of mainline's: what the series adds to them.
	[[ -e $selftests/pid_namespace/leaks.c ]] || return 0
	mkdir "$build/pid_namespace"
	make -C "$selftests/pid_namespace" MAKELEVEL=1 OUTPUT="$build/pid_namespace" CC=gcc \
		KHDR_INCLUDES="-isystem $out/usr/include" USERCFLAGS="-O2 -Wall -Werror" \
		USERLDFLAGS=-static -j"$jobs" "$build/pid_namespace/leaks" >&2
	cp "$build/pid_namespace/leaks" "$dir/"
	echo leaks >> "$dir/list"
}

pack() {
	local image=$1 work
	work=$(mktemp -d "$cache/initramfs/.tmp-XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$work'" EXIT
	local fs=$work/root
	mkdir -p "$fs"/{bin,sbin,usr/bin,usr/sbin,etc,dev,proc,sys,tmp,root,jobs,disk,mnt}
	cp /bin/busybox "$fs/bin/"
	cp /bin/bash-static "$fs/bin/bash"
	local applet
	for applet in $(/bin/busybox --list); do
		[[ $applet == busybox ]] || ln -s busybox "$fs/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n' > "$fs/etc/passwd"
	printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' > "$fs/etc/group"
	cp "${programs[@]}" "$fs/usr/bin/"
	ln -s /usr/bin/dash "$fs/bin/dash"
	ldd "${programs[@]}" | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r lib; do
		install -D "$lib" "$fs$lib"
	done
	cp "$guest/init" "$fs/init"
	cp "$guest"/jobs/* "$guest"/*.py "$fs/jobs/"
	gcc -static -O2 -Wall -Wextra -Werror -pthread -o "$fs/bin/pidspace-demo" "$guest"/*.c >&2
	# Without a libc of its own: it is loaded into programs of the disk's Debian.
	gcc -shared -fPIC -nostdlib -O2 -Wall -Wextra -Werror -o "$fs/jobs/set_tid_1.so" \
		"$guest"/preload/set_tid_1.c >&2
	kselftests "$fs/kselftest"
	find "$fs" -exec touch -h -d @0 {} +
	(cd "$fs" && find . -print0 | sort -z |
		cpio -0 -o -H newc -R 0:0 --reproducible --quiet) > "$work/image"
	mv "$work/image" "$image"
}

make_image() {
	mkdir -p "$cache/initramfs"
	local key image log=$cache/log/initramfs.log
	key=$(inputs | sha256sum | cut -c1-16)
	image=$cache/initramfs/$key.cpio
	if [[ ! -e $image ]]; then
		mkdir -p "$cache/log"
		rm -rf "$cache"/initramfs/.tmp-*
		(pack "$image") > "$log" 2>&1 || { tail -n 20 "$log" >&2; die "initramfs (log: $log)"; }
		# Keep the newest few.
		find "$cache/initramfs" -name '*.cpio' -printf '%T@ %p\n' | sort -rn |
			sed '1,8d; s/^[^ ]* //' | xargs -r rm -f
	fi
	touch "$image"
	echo "$image"
}
with_lock initramfs make_image
