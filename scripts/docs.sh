#!/bin/bash
# docs.sh: build the books that the series adds to with Sphinx, the kernel-doc of its
# headers, its rustdoc and its man page, and fail if anything of the series makes
# one of them complain. Mainline's own warnings do not count.
# The last line is "N passed, N failed".
. "$(dirname "$0")/lib.sh"

books=(core-api admin-guide userspace-api)
out=$cache/docs log=$cache/log/docs
passed=0 failed=0

# verdict NAME: what the series is to blame for is on stdin.
verdict() {
	local lines
	if lines=$(grep .); then
		echo "  FAILED  $1"
		printf '          %s\n' "${lines//$'\n'/$'\n'          }"
		failed=$((failed + 1))
	else
		echo "  ok      $1"
		passed=$((passed + 1))
	fi
}

"$root/scripts/setup.sh" "$root/ci/rootfs/docs.txt"
"$root/scripts/tree.sh"
mkdir -p "$out" "$log"

# What the series adds or changes, as patterns of fixed strings.
ours=$log/ours
find "$patches" -name '*.patch' -exec sed -n 's|^+++ b/||p' {} + | cut -f1 | sort -u > "$ours"
pages=$log/pages
grep -E '^Documentation/.*\.rst$' "$ours" | grep -v '/index\.rst$' > "$pages"
[[ -s $pages ]] || die "the series adds no page"

for book in "${books[@]}"; do
	say "  building $book"
	# Of one book only: references into others are unknown, in mainline's pages as well.
	# Not kmake: this target takes RUSTDOC for an option of Sphinx.
	make -C "$tree" O="$out" htmldocs SPHINXDIRS="$book" SPHINXOPTS=-j1 > "$log/$book.log" 2>&1 ||
		{ tail -n 12 "$log/$book.log" >&2; die "$book (log: $log/$book.log)"; }
	verdict "$book: pages" < <(
		while read -r page; do
			[[ $page == "Documentation/$book/"* ]] || continue
			page=${page#Documentation/}
			[[ -e $out/Documentation/output/${page%.rst}.html ]] || echo "$page: no page was made of it"
		done < "$pages")
	verdict "$book: warnings" < <(grep -F -f "$pages" -e linux/pidspace.h "$log/$book.log" | grep -i warning)
done

mapfile -t headers < <(grep -E '^include/linux/pidspace.*\.h$' "$ours")
((${#headers[@]})) || die "the series adds no header"
verdict kernel-doc < <(cd "$tree" && tools/docs/kernel-doc -none -Wall "${headers[@]}" 2>&1)

say "  building rustdoc"
"$root/scripts/build.sh" base
kmake "$tree" "$builds/base" rustdoc > "$log/rustdoc.log" 2>&1 ||
	{ tail -n 12 "$log/rustdoc.log" >&2; die "rustdoc (log: $log/rustdoc.log)"; }
verdict 'rustdoc: rust/kernel' < <(grep -A3 '^warning' "$log/rustdoc.log" | grep -F -f "$ours")

# The core is no part of the kernel crate and has nothing public: its rustdoc, that
# of private items too, with the options that it was compiled with.
core() {
	local command
	command=$(sed -n '1s/^savedcmd[^=]*:= //; 1s/ ; .*//p' kernel/pidspace/.pidspace.o.cmd)
	command=$(sed -E 's|/usr/bin/rustc|/usr/bin/rustdoc --document-private-items -o Documentation/output/rust/rustdoc|
		s/ -Zbinary_dep_depinfo=y| --emit=[^ ]+| --out-dir [^ ]+| --crate-type rlib//g
		s/ --remap-path-[^ ]+//g' <<< "$command")
	[[ $command == *rustdoc*pidspace.rs* ]] || die "no command to compile pidspace.rs in $PWD"
	RUSTC_BOOTSTRAP=1 bash -c "$command" 2>&1
}
verdict 'rustdoc: kernel/pidspace' < <(cd "$builds/base" && core)

verdict 'mandoc: container(7)' < <(mandoc -T lint -W style "$tree/tools/pidspace/container.7" 2>&1)

echo "$passed passed, $failed failed"
((!failed))
