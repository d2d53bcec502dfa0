#!/bin/bash
# lint.sh: the static checks. The last line is "N passed, N failed".
. "$(dirname "$0")/lib.sh"

passed=0 failed=0
# check WHAT COMMAND...: silent when it is fine.
check() {
	local what=$1 output start=$SECONDS
	shift
	if output=$("$@" 2>&1); then
		echo "  ok      $what ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "  FAILED  $what"
		printf '%s\n' "$output" | sed 's/^/          /'
		failed=$((failed + 1))
	fi
}

# Patches are checked once: by their content and that of checkpatch.
checkpatch() {
	local results=$cache/lint/checkpatch faults
	mkdir -p "$results"
	export checkpatch=$pristine/scripts/checkpatch.pl results
	version=$(hash_of "$checkpatch" "$pristine"/scripts/{const_structs.checkpatch,spelling.txt})
	export version
	find "$patches" -name '*.patch' -print0 | sort -z |
		xargs -0 -r -n 1 -P "$jobs" "$root/scripts/checkpatch.sh" || return
	faults=$(find "$patches" -name '*.patch' | sort |
		"$root/scripts/checkpatch_allowed.py" "$root/ci/checkpatch-allowed.txt" "$results" "$version") || {
		printf '%s\n' "$faults"
		return 1
	}
}

format() {
	find "$root/rust" -name '*.rs' -not -path '*/target/*' -print0 |
		xargs -0 -r /usr/bin/rustfmt --check --color never --edition 2021 --config-path "$pristine/.rustfmt.toml"
}

shell() {
	shellcheck "$root"/scripts/*.sh "$root/.ci/run" || return
	# busybox sh: POSIX plus local.
	shellcheck -s dash "$root/ci/guest/init" "$root"/ci/guest/jobs/*
}

python() {
	local files=("$root"/scripts/*.py "$root"/ci/tests/*.py "$root"/ci/guest/*.py) file
	for file in "${files[@]}"; do
		python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file" || return
	done
	if command -v ruff >/dev/null; then ruff check --no-cache -q "${files[@]}" || return; fi
	if command -v mypy >/dev/null; then
		(cd "$root/scripts" && mypy --strict --cache-dir="$cache/lint/mypy" ./*.py) || return
	fi
}

# Where packages come from is the machine's business.
hosts() {
	! grep -rnIE '(crates[.]io|pypi[.]org|pythonhosted[.]org|npmjs[.]org|rubygems[.]org|proxy[.]golang|(deb|security|ftp[.a-z]*)[.]debian[.]org)' \
		--exclude=Cargo.lock --exclude-dir=target --exclude-dir=.git "$root"
}

layout() {
	local extra
	extra=$(cd "$root" && find . -mindepth 1 -maxdepth 1 -not -name .git | sed 's|^\./||' |
		grep -vxE 'README\.md|Makefile|series|patches|rust|scripts|ci|Documentation|\.ci|\.gitignore') || true
	[[ -z $extra ]] || { echo "not part of the layout: $extra"; return 1; }
}

"$root/scripts/source.sh"
check 'series, patches/ and headers agree' "$root/scripts/series.py" check "$root"
check 'rust/ is what the series adds' "$root/scripts/series.py" rust "$root"
check "checkpatch --strict" checkpatch
check 'rustfmt' format
check 'shellcheck' shell
check 'python' python
check 'no host of a package registry' hosts
check 'layout' layout
echo "$passed passed, $failed failed"
((!failed))
