#!/bin/bash
# run.sh BZIMAGE: boot it with the reproducers in emulation, print what they say
d=$(dirname "$(readlink -f "$0")"); w=$(mktemp -d)
mkdir -p $w/{bin,proc,sys,dev,mnt,tmp}
cp /bin/busybox $w/bin; for a in $(/bin/busybox --list); do [[ $a == busybox ]] || ln -sf busybox $w/bin/$a; done
rm -f $w/bin/true; cp $d/true $w/bin/true
for t in nlcreds cnproc uffd iou vhost pppol2tp alsa nbd nftgen binder ngid; do cp $d/$t $w/bin; done
cp $d/init $w/init; chmod +x $w/init
(cd $w; find . | cpio -o -H newc --quiet) > $w.cpio
mhz=$(sed -n 's/^cpu MHz.*: //p' /proc/cpuinfo | head -1)
timeout ${T:-400} nice -n 15 qemu-system-x86_64 -nodefaults -display none -no-reboot -serial stdio -machine pc -accel tcg -cpu max -smp 2 -m 1024 \
	-kernel "$1" -initrd $w.cpio -append "console=ttyS0 panic=-1 loglevel=4 numa=fake=2 tsc=reliable tsc_early_khz=${mhz%%.*}000"
rm -rf $w $w.cpio
