# shellcheck shell=bash
# Shared by the scripts: where things are, messages, locks, the kernel's make.
set -euo pipefail

# shellcheck disable=SC2034  # several of these are for the scripts that source this
{
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pidspace
series=${SERIES_DIR:-$root}/series
patches=${SERIES_DIR:-$root}/patches
jobs=${JOBS:-$(nproc)}
kernel=7.3
llvm=19
bindgen_version=0.72.1
}

# Debian's tools come first: a rustup in the user's PATH is another compiler.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin:$PATH
export LC_ALL=C.UTF-8 CCACHE_DIR=$cache/ccache CCACHE_BASEDIR=$cache CCACHE_MAXSIZE=8G
export CCACHE_COMPILERCHECK='%compiler% --version' CCACHE_NOHASHDIR=1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES KBUILD_OUTPUT CDPATH GREP_OPTIONS RUSTUP_TOOLCHAIN

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# with_lock NAME COMMAND...: one at a time for each name; waits, saying so.
with_lock() {
	local lock=$1 lockfd
	shift
	mkdir -p "$cache"
	exec {lockfd}>"$cache/.lock-$lock"
	if ! flock -n "$lockfd"; then
		say "waiting for another run that holds $cache/.lock-$lock"
		flock "$lockfd"
	fi
	# Children inherit the lock: when this shell is killed alone, the make that
	# it has started goes on, and must not meet another one in the same place.
	"$@"
	exec {lockfd}>&-
}

# hash_of FILE...: one checksum over names and contents.
hash_of() { sha256sum -- "$@" | sha256sum | cut -c1-16; }

# Where the pristine tree, the tree with the series and the builds of it are:
# the default's, or those of the user's TREE.
if [[ -n ${TREE:-} ]]; then
	TREE=$(realpath -e "$TREE") || { echo "error: TREE: no such file or directory" >&2; exit 1; }
	place=$cache/user-$(printf %s "$TREE" | sha256sum | cut -c1-8)
else
	place=$cache
fi
# shellcheck disable=SC2034
pristine=$place/linux tree=$place/tree builds=$place/build

version_of() { # DIR: 7.3.4
	sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) *= *//p' "$1/Makefile" 2>/dev/null |
		head -n 3 | paste -sd.
}

has_patches() { grep -q '^[^#[:space:]]' "$series" 2>/dev/null; }

# find_mirror: set mirror and key to the Debian mirror that the machine's apt uses
# and what its signatures are checked with.
find_mirror() {
	local origin label uri
	mirror='' key=/usr/share/keyrings/debian-archive-keyring.gpg
	[[ -e $key ]] || key=/etc/apt/trusted.gpg.d
	# shellcheck disable=SC2016  # apt expands these
	while IFS='|' read -r origin label uri; do
		[[ $origin == Debian && $label == Debian || -z $mirror && $uri == */debian/ ]] || continue
		mirror=$uri
	done < <(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages')
	[[ $mirror ]]
}

# kmake SRC OUT ARG...: the kernel's make with our compilers.
kmake() {
	local src=$1 out=$2
	shift 2
	make -C "$src" O="$out" ARCH=x86_64 LLVM=-$llvm \
		CC="ccache clang-$llvm" \
		RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTFMT=/usr/bin/rustfmt \
		BINDGEN="$cache/bindgen/bin/bindgen" \
		KBUILD_BUILD_TIMESTAMP='Sun Jan  1 00:00:00 UTC 2006' KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=pidspace KBUILD_BUILD_HOST=pidspace -j"$jobs" "$@"
}

# build_objects SRC OUT LOG TARGET...: make with a line of progress now and
# then, the full output in LOG, and the errors shown when it fails.
build_objects() {
	local src=$1 out=$2 log=$3 start=$SECONDS said=$SECONDS pid
	shift 3
	mkdir -p "$(dirname "$log")" "$out"
	# bindgen writes in place, and make removes half a target after a signal
	# that it gets, but not after SIGKILL.
	[[ ! -e $out/.building ]] || rm -f "$out"/rust/{bindings,uapi}/*generated.rs
	: > "$out/.building"
	kmake "$src" "$out" "$@" >"$log" 2>&1 &
	pid=$!
	# shellcheck disable=SC2064
	trap "kill $pid 2>/dev/null" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		((SECONDS - said < 10)) || {
			said=$SECONDS
			say "  $(basename "$out"): $(grep -cE '^  [A-Z]+ ' "$log" || true) steps, $((SECONDS - start)) s"
		}
	done
	trap - INT TERM
	wait "$pid" || {
		grep -nE -A3 '(error|Error|ERROR|undefined reference|Killed)' "$log" | head -40 >&2 || true
		say "  the last lines of $log:"
		tail -n 12 "$log" >&2
		return 1
	}
	rm -f "$out/.building"
}

# build_kernel SRC OUT NAME LOG: OUT/arch/x86/boot/bzImage of SRC, configured by
# ci/config/NAME.config. Nothing is done when nothing that goes into it has changed.
build_kernel() {
	local src=$1 out=$2 name=$3 log=$4 key
	key=$({
		cat "$src.state.key" 2>/dev/null || sha256sum "$src/Makefile"
		cat "$root/scripts/lib.sh" "$root/scripts/config.sh"
		sha256sum "$root"/ci/config/*
		clang-$llvm --version
		/usr/bin/rustc --version
		readlink "$cache/bindgen"
	} | sha256sum)
	# The user's own tree is looked through by make each time.
	[[ -e $out/arch/x86/boot/bzImage && $(cat "$out/.key" 2>/dev/null) == "$key" && -z ${TREE:-} ]] && return
	rm -f "$out/.key"
	say "  building $(basename "$out")"
	"$root/scripts/config.sh" "$src" "$out" "$name"
	build_objects "$src" "$out" "$log" bzImage
	echo "$key" > "$out/.key"
}
