#!/bin/bash
# setup.sh [LIST]: install what is missing of ci/packages.txt, and of LIST if
# there is one (Debian, root), and the bindgen the kernel wants into the cache.
# Says what is missing where it may not.
. "$(dirname "$0")/lib.sh"

lists=("$root/ci/packages.txt" "$@")

available() { [[ -n $(apt-cache madison "$1" 2>/dev/null) ]]; }

# The lines of the lists of which no alternative is installed.
missing() {
	local line alternative present
	present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
	while read -r line; do
		[[ -n $line && $line != '#'* ]] || continue
		for alternative in ${line//|/ }; do
			! grep -qxF "$alternative" <<< "$present" || continue 2
		done
		echo "$line"
	done < <(cat "${lists[@]}")
	# Whose cargo it is does not matter: it builds bindgen and the host tests.
	command -v cargo >/dev/null || echo 'cargo-web|cargo'
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 \
		-o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >>"$log" 2>&1
}

# The lock on the package lists has no time-out of its own.
apt_update() {
	local try
	for try in {1..60}; do
		: > "$log.update"
		if apt-get -q update -o Acquire::Retries=3 >"$log.update" 2>&1; then return; fi
		grep -q 'Could not get lock' "$log.update" || break
		((try > 1)) || say "  waiting for another apt"
		sleep 10
	done
	# A foreign repository may be down; what matters is whether ours are found.
	say "  apt-get update had errors (log: $log.update)"
}

install_packages() {
	local lines line alternative chosen=()
	[[ ${SKIP_PACKAGES:-} != 1 ]] || return 0
	command -v dpkg-query >/dev/null || {
		say "this is not Debian; it needs what Debian calls:"
		grep -hv '^\(#\|$\)' "${lists[@]}" | paste -sd' ' | fold -sw 76 | sed 's/^/  /' >&2
		die "install these, then say SKIP_PACKAGES=1"
	}
	mapfile -t lines < <(missing)
	((${#lines[@]})) || return 0
	if ((EUID)); then
		die "missing packages; as root: apt-get install ${lines[*]%%|*}"
	fi
	say "  installing: ${lines[*]}"
	apt_update
	for line in "${lines[@]}"; do
		for alternative in ${line//|/ }; do
			if available "$alternative"; then
				chosen+=("$alternative")
				continue 2
			fi
		done
		die "no source of packages here has $line (it is in ${lists[*]#"$root/"})"
	done
	apt install --no-install-recommends "${chosen[@]}" || {
		tail -n 20 "$log" >&2
		die "apt-get install failed (log: $log)"
	}
	mapfile -t lines < <(missing)
	((!${#lines[@]})) || die "still missing after the installation: ${lines[*]}"
}

# bindgen is not in Debian bookworm in a version the kernel takes.
install_bindgen() {
	local key dir
	key=$({ cargo --version; /usr/bin/rustc --version; dpkg-query -W libclang-$llvm-dev 2>/dev/null || true; } |
		sha256sum | cut -c1-8)
	dir=bindgen-$bindgen_version-$key
	if [[ ! -x $cache/$dir/bin/bindgen ]]; then
		say "  building bindgen $bindgen_version"
		rm -rf "$cache/$dir.tmp"
		RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$cache/$dir.tmp/target \
			cargo install --locked --root "$cache/$dir.tmp" --version $bindgen_version \
			bindgen-cli >>"$log" 2>&1 || {
			tail -n 20 "$log" >&2
			die "cargo could not build bindgen (log: $log)"
		}
		rm -rf "$cache/$dir.tmp/target" "${cache:?}/$dir"
		mv "$cache/$dir.tmp" "$cache/$dir"
	fi
	[[ $(readlink "$cache/bindgen") == "$dir" ]] || ln -sfn "$dir" "$cache/bindgen"
}

setup() {
	log=$cache/log/setup.log
	mkdir -p "$cache/log"
	: > "$log"
	install_packages
	install_bindgen
}
with_lock setup setup
