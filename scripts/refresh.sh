#!/bin/bash
# refresh.sh: regenerate patches/, series and the copies under rust/ from the
# commits base..pidspace of the work tree (make work; or WORK=DIR).
. "$(dirname "$0")/lib.sh"

work=${WORK:-$place/work/linux}
destination=${series%/series}
# Nobody's git settings show in the patches.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
wgit() { git -C "$work" -c diff.noprefix=false -c core.quotePath=true "$@"; }

wgit rev-parse -q --verify 'pidspace^{commit}' >/dev/null 2>&1 ||
	die "$work has no branch pidspace (make work makes one; WORK=DIR names another)"
wgit merge-base --is-ancestor base pidspace || die "$work: pidspace is not based on branch base"
[[ -z $(wgit rev-list --merges base..pidspace) ]] || die "$work: base..pidspace has a merge in it"
[[ -z $(wgit status --porcelain --untracked-files=no | head -n 1) ]] ||
	say "  note: $work has uncommitted changes; only commits are exported"
untracked=$(wgit ls-files -o -- '*.rs' '*.c' '*.h' '*.rst' '*Kconfig' '*Makefile' | head -n 5)
# shellcheck disable=SC2086  # one line
[[ -z $untracked ]] || say "  note: not in git (git add -f?):" $untracked

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/made" "$tmp/patches" "$tmp/rust"
wgit format-patch -q --zero-commit --no-signature -N --no-renames --abbrev=12 --no-base \
	--no-thread --no-cover-letter --no-to --no-cc --no-attach --subject-prefix=PATCH \
	--diff-algorithm=histogram --stat=72 --src-prefix=a/ --dst-prefix=b/ -o "$tmp/made" base..pidspace
"$root/scripts/series.py" arrange "$series" "$tmp/made" "$tmp"

# The copies of the Rust files that the series adds.
wgit diff --name-only --no-renames --diff-filter=A base pidspace -- '*.rs' | while read -r file; do
	mkdir -p "$tmp/rust/$(dirname "$file")"
	wgit show "pidspace:$file" > "$tmp/rust/$file"
done

mkdir -p "$destination"/{patches,rust}
rsync -rc --delete --prune-empty-dirs --include='*/' --include='*.patch' --exclude='*' "$tmp/patches/" "$destination/patches/"
for top in kernel rust; do
	[[ ! -d $destination/rust/$top ]] ||
		find "$destination/rust/$top" -name '*.rs' -type f | while read -r file; do
			[[ -e $tmp/rust/${file#"$destination/rust/"} ]] || rm "$file"
		done
done
rsync -rc "$tmp/rust/" "$destination/rust/"
find "$destination/rust" -mindepth 1 -type d -empty -delete
cmp -s "$tmp/series" "$series" || cp "$tmp/series" "$series"
say "  $(find "$tmp/patches" -name '*.patch' | wc -l) patches"
