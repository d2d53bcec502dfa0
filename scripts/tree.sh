#!/bin/bash
# tree.sh: the pristine tree plus the series, applied with quilt and no fuzz. What the series does not touch is hard-linked to the
# pristine tree, and a file keeps its time stamp when a changed series leaves it
# as it was, so that builds stay incremental.
. "$(dirname "$0")/lib.sh"

# The files that the patches name.
touched() {
	local patch
	has_patches || return 0
	"$root/scripts/series.py" list "${series%/series}" | while read -r patch; do
		[[ -f $patches/$patch ]] || die "series names $patch, which is not in patches/"
		sed -nE 's/^(---|\+\+\+) [ab]\/([^\t]+).*/\2/p; s/^rename (from|to) //p' "$patches/$patch"
	done | sort -u
}

apply() { # SCRATCH: with the files that the series needs
	local output failed file
	has_patches || return 0
	output=$(cd "$1" && QUILT_PATCHES=$patches QUILT_SERIES=$series \
		quilt --quiltrc=/dev/null push -a --fuzz=0 2>&1) && return
	printf '%s\n' "$output" > "$cache/log/quilt.log"
	failed=$(sed -n 's/^Applying patch //p' <<< "$output" | tail -n 1)
	failed=${failed#"$patches/"}
	grep -E '^(patching file|Hunk .*FAILED)' <<< "$output" | grep -B1 FAILED >&2 || true
	sed -nE 's/^--- a\/([^\t]+).*/\1/p' "$patches/$failed" | while read -r file; do
		[[ -e $1/$file ]] || say "the tree has no $file"
	done
	die "patch $failed does not apply to ${TREE:-Linux $(version_of "$pristine")} (log: $cache/log/quilt.log)"
}

make_tree() {
	local state=$tree.state key scratch file new
	touched > "$state.new"
	touch "$state.files"
	key=$({
		cat "$state.new" "$series"
		find "$patches" -name '*.patch' -print0 2>/dev/null | sort -z | xargs -0 -r cat
		while read -r file; do
			[[ ! -f $pristine/$file ]] || sha256sum "$pristine/$file"
		done < "$state.new"
	} | sha256sum | cut -c1-16)
	if [[ -d $tree && $(cat "$state.key" 2>/dev/null) == "$key" && -z ${TREE:-} ]]; then
		rm -f "$state.new"
		return
	fi

	rm -rf "$place"/.scratch-*
	scratch=$(mktemp -d "$place/.scratch-XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$scratch'" EXIT
	while read -r file; do
		[[ -f $pristine/$file ]] || continue
		mkdir -p "$scratch/$(dirname "$file")"
		cp -p "$pristine/$file" "$scratch/$file"
	done < "$state.new"
	apply "$scratch"

	rm -f "$state.key"
	if [[ ! -d $tree ]]; then
		rm -rf "$tree.tmp"
		: > "$state.files"
		cp -al "$pristine" "$tree.tmp"
		mv "$tree.tmp" "$tree"
	elif [[ -n ${TREE:-} ]]; then
		# The user's tree may have changed anywhere.
		sort -u "$state.new" "$state.files" | sed 's|^|/|' > "$state.exclude"
		rsync -a --delete --link-dest="$pristine" --exclude-from="$state.exclude" "$pristine/" "$tree/"
		rm -f "$state.exclude"
	fi
	# Remember the files of the old and the new series until all are in place.
	sort -u "$state.new" "$state.files" > "$state.union"
	mv "$state.union" "$state.files"
	while read -r file; do
		new=$scratch/$file
		grep -qxF "$file" "$state.new" || new=$pristine/$file
		if [[ ! -f $new ]]; then
			rm -f "$tree/$file"
		elif ! cmp -s "$new" "$tree/$file"; then
			mkdir -p "$(dirname "$tree/$file")"
			cp "$new" "$tree/$file.tmp"
			mv "$tree/$file.tmp" "$tree/$file"
		fi
	done < "$state.files"
	mv "$state.new" "$state.files"
	echo "$key" > "$state.key"
}

"$root/scripts/source.sh"
with_lock "tree-${place##*/}" make_tree
