#!/bin/bash
# guest.sh SRC IMAGE INITRD JOB LOG [BOOT-OPTION...]: boot and run a job; for
# the test suites parse the KTAP they print with the tree's own kunit.py.
. "$(dirname "$0")/lib.sh"

src=$1 image=$2 initrd=$3 job=$4 log=$5
shift 5
show=job ktap=
case $job in
kunit | kselftest | programs) ktap=1 show=none ;;
criu-cases) [[ " $* " == *' --args costs '* ]] || ktap=1 ;;
esac

status=0
"$root/scripts/boot.py" --kernel "$image" --initrd "$initrd" --job "$job" --log "$log" \
	--show "$show" "$@" || status=1
[[ -z $ktap ]] || {
	tr -d '\r' < "$log" > "$log.ktap"
	"$root/scripts/ktap.py" "$src" "$log.ktap" || status=1
}
exit $status
