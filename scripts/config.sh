#!/bin/bash
# config.sh SRC OUT NAME: write OUT/.config for ci/config/NAME.config, on top of
# boot.config and, but for "off", of base.config.
# Fails when a requested symbol did not survive (LAX=1: only says so).
. "$(dirname "$0")/lib.sh"

src=$1 out=$2 name=$3
fragments=("$root/ci/config/boot.config")
[[ $name == off ]] || fragments+=("$root/ci/config/base.config")
if [[ $name != off && $src != "$pristine" ]] && { has_patches || [[ -e $src/kernel/pidspace ]]; }; then
	fragments+=("$root/ci/config/pidspace.config")
fi
[[ $name == base ]] || fragments+=("$root/ci/config/$name.config")

mkdir -p "$out"
rm -rf "$out"/.config-??????
tmp=$(mktemp -d "$out/.config-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$src/scripts/kconfig/merge_config.sh" -m -Q -O "$tmp" "${fragments[@]}" >/dev/null
mv "$tmp/.config" "$tmp/wanted"
kmake "$src" "$out" -s KCONFIG_ALLCONFIG="$tmp/wanted" KCONFIG_CONFIG="$tmp/.config" \
	allnoconfig >&2

lost=0
while read -r line; do
	case $line in
	'# CONFIG_'*' is not set')
		sym=${line#\# } sym=${sym% is not set}
		! grep -q "^$sym=" "$tmp/.config" || { say "config $name: $sym is on"; lost=1; } ;;
	CONFIG_*)
		grep -qxF "$line" "$tmp/.config" || { say "config $name: $line did not stick"; lost=1; } ;;
	esac
done < "$tmp/wanted"
if ((lost)) && grep -qxF CONFIG_RUST=y "$tmp/wanted" && ! grep -qxF CONFIG_RUST=y "$tmp/.config"; then
	kmake "$src" "$out" -s rustavailable >&2 || true
fi
((!lost)) || [[ ${LAX:-0} == 1 ]] || die "config $name: not what ci/config asks for"

# Keep the time stamp of an unchanged file: nothing is rebuilt then.
cmp -s "$tmp/.config" "$out/.config" || mv "$tmp/.config" "$out/.config"
