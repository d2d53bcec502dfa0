#!/bin/bash
# work.sh: a git work tree of the series, one commit a patch, on branch pidspace
# over branch base (the pristine tree). Change the commits, then: make refresh.
. "$(dirname "$0")/lib.sh"

work=${WORK:-$place/work/linux}
[[ ! -e $work ]] || die "$work is there already; remove it to start again"
"$root/scripts/tree.sh"
say "  importing the pristine tree into git (a minute or two)"
tmp=$work.tmp
rm -rf "$tmp"
mkdir -p "$tmp"
cp -a "$pristine/." "$tmp/"
cd "$tmp"
# Debian's .gitignore hides every new file from git.
sed -i -e '\|^/\*$|d' -e '\|^!/debian/$|d' .gitignore 2>/dev/null || true
git init -q -b base
# An identity for the import only; your own is used for what you commit.
me=(-c user.name=pidspace -c user.email=pidspace@localhost)
git "${me[@]}" add -A -f
git "${me[@]}" -c gc.auto=0 commit -q -m "Linux $(version_of .)"
git checkout -q -b pidspace
mapfile -t names < <("$root/scripts/series.py" list "${series%/series}")
for name in "${names[@]}"; do
	git "${me[@]}" -c core.whitespace=-trailing-space am -q --keep-cr "$patches/$name" ||
		die "$name does not apply with git am"
done
mv "$tmp" "$work"
say "  $work: ${#names[@]} commits, base..pidspace"
