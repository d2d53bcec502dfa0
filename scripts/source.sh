#!/bin/bash
# source.sh: make the pristine tree available.
# Without TREE: Debian's linux-source, fetched once into the cache. With
# TREE=DIR|CHECKOUT|TARBALL: a copy of that; the original is never touched.
. "$(dirname "$0")/lib.sh"

check_version() { # DIR WHAT
	local version
	[[ -e $1/Makefile && -e $1/kernel/pid.c ]] || die "$2 is not a kernel tree"
	version=$(version_of "$1")
	[[ $version == "$kernel" || $version == "$kernel".* ]] ||
		die "$2 is Linux $version; this series is for $kernel.y"
}

# fetch DIR: download the newest linux-source package of the version we want,
# with an apt configuration of its own: the machine's is left alone. The mirror
# is the one the machine uses.
fetch() {
	local dir=$1 suite options mirror key
	find_mirror || die "apt knows no Debian mirror; give a $kernel.y tree: make TREE=DIR ..."
	for suite in trixie-backports forky sid; do
		rm -rf "$dir/apt"
		mkdir -p "$dir"/apt/{state/lists/partial,cache/archives/partial}
		echo "deb [signed-by=$key] $mirror $suite main" > "$dir/apt/sources.list"
		options=(-q -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=-
			-o Dir::State="$dir/apt/state" -o Dir::Cache="$dir/apt/cache"
			-o Acquire::Retries=3 -o Acquire::Languages=none -o APT::Sandbox::User=root)
		say "  looking for linux-source-$kernel in $suite"
		apt-get "${options[@]}" update >>"$log" 2>&1 || continue
		(cd "$dir" && apt-get "${options[@]}" download "linux-source-$kernel") >>"$log" 2>&1 &&
			return
	done
	tail -n 20 "$log" >&2
	die "no suite has linux-source-$kernel (log: $log); give a tree: make TREE=DIR ..."
}

# unpack ARCHIVE DIR: the kernel tarball on stdin, without its top directory.
unpack() {
	rm -rf "$2.tmp"
	mkdir -p "$2.tmp"
	case $1 in
	*.deb)
		dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
			tar -xJ -C "$2.tmp" --strip-components=1 ;;
	*) tar -xf "$1" -C "$2.tmp" --strip-components=1 ;;
	esac
	check_version "$2.tmp" "$1"
	rm -rf "$2"
	mv "$2.tmp" "$2"
}

debian_source() {
	local deb
	if [[ ! -d $pristine ]]; then
		fetch "$cache/download"
		deb=$(find "$cache/download" -maxdepth 1 -name "linux-source-$kernel*.deb" | sort -V | tail -n 1)
		say "  unpacking ${deb##*/}"
		unpack "$deb" "$pristine"
		rm -rf "$cache/download"
	fi
}

user_source() {
	local what=$TREE dir=$pristine id
	mkdir -p "$place"
	if [[ -f $what ]]; then
		id="tarball $(stat -c '%s %Y' "$what")"
		[[ $(cat "$dir.id" 2>/dev/null) == "$id" ]] || { unpack "$what" "$dir"; echo "$id" > "$dir.id"; }
	elif [[ -e $what/.git ]]; then
		check_version "$what" "$TREE"
		id="commit $(git -C "$what" rev-parse HEAD)"
		[[ -z $(git --no-optional-locks -C "$what" status --porcelain --untracked-files=no | head -n 1) ]] ||
			say "  note: $TREE has uncommitted changes; they are NOT used, HEAD is (${id:7:12})"
		if [[ $(cat "$dir.id" 2>/dev/null) != "$id" ]]; then
			rm -rf "$dir.tmp" "$dir.id"
			mkdir -p "$dir.tmp" "$dir"
			git -C "$what" archive HEAD | tar -x -C "$dir.tmp"
			# Unchanged files keep their time stamps, changed ones are new.
			rsync -rlp --checksum --delete "$dir.tmp/" "$dir/"
			rm -rf "$dir.tmp"
			echo "$id" > "$dir.id"
		fi
	else
		check_version "$what" "$TREE"
		rsync -a --delete --exclude='*.o' --exclude='*.cmd' --exclude=/.config \
			--exclude=/include/generated --exclude=/include/config \
			--exclude='/arch/*/include/generated' "$what/" "$dir/"
	fi
}

log=$cache/log/source.log
mkdir -p "$cache/log"
: > "$log"
if [[ -n ${TREE:-} ]]; then with_lock source user_source; else with_lock source debian_source; fi
