#!/bin/bash
# bpf.sh: a kernel with BTF, and in it a BPF program that reads task->pid and
# task->tgid by name (ci/bpf/). SRC=DIR builds that tree where it is.
. "$(dirname "$0")/lib.sh"

"$root/scripts/setup.sh" "$root/ci/bpf/packages.txt"
if [[ -n ${SRC:-} ]]; then
	image=$(LAX=0 "$root/scripts/dev-build.sh" "$SRC" bpf)
	src=$(realpath -e "$SRC") out=${image%/arch/*}
else
	"$root/scripts/build.sh" bpf
	src=$tree out=$builds/bpf image=$builds/bpf/arch/x86/boot/bzImage
fi
base=$("$root/scripts/initramfs.sh" "$src" "$out")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/root/{bin,jobs}
include=$root/ci/bpf
clang-$llvm --target=bpf -g -O2 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu \
	-c "$include/pid.bpf.c" -o "$work/root/bin/pid.bpf.o"
gcc -static -O2 -Wall -Wextra -Werror -pthread -o "$work/root/bin/bpf-pid" "$include/pid.c" -lbpf -lelf -lz
cp "$include/job" "$work/root/jobs/bpf"
# The kernel unpacks one archive after the other.
(cd "$work/root" && find . | cpio -o -H newc -R 0:0 --quiet) > "$work/more"
cat "$base" "$work/more" > "$work/initrd"
"$root/scripts/guest.sh" "$src" "$image" "$work/initrd" bpf "$cache/log/bpf.console" "$@"
