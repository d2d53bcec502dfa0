#!/bin/bash
# verb.sh VERB COMMAND...: run a verb of the Makefile with set-up before it, a log
# beside it, and one line after it that says how it ended.
. "$(dirname "$0")/lib.sh"

verb=$1
shift
mkdir -p "$cache/log"
log=$cache/log/$verb.log

run() { "$root/scripts/setup.sh" && "$@"; }

status=0
case $verb in
image)
	# stdout is the path and nothing else.
	run "$@" > "$log" 2>&1 || {
		tail -n 20 "$log" >&2
		say "image: failed (log: $log)"
		exit 1
	}
	echo "$builds/base/arch/x86/boot/bzImage"
	exit ;;
shell)
	# A terminal must stay one: the console goes into a log of its own.
	log=$cache/log/base-shell.console
	run "$@" || status=1 ;;
*)
	run "$@" 2>&1 | tee "$log" || status=1 ;;
esac
if ((status)); then verdict=failed; else verdict=ok; fi
echo "$verb: $verdict (log: $log)"
# What CI reads is the very last line.
[[ $verb != test ]] || tail -n 1 "$log"
exit $status
