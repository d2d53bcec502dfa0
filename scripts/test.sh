#!/bin/bash
# test.sh: everything CI runs. A step that fails does not stop those that do not
# need it. The last line is "N passed, N failed" over all steps; a step whose
# own last line is of that form counts with its numbers, any other as one.
. "$(dirname "$0")/lib.sh"

passed=0 failed=0 skipped=0
logs=$cache/log/test
mkdir -p "$logs"

# Nothing is left behind when this is interrupted; timeout passes it on.
running='' aheads=()
trap 'kill $running "${aheads[@]}" 2>/dev/null; exit 130' INT TERM

# ahead NAME: build it while tests run, which keep about one processor busy. The
# step that builds it waits for this one, and does what it left undone.
ahead() {
	nice -n 10 "$s/build.sh" "$1" > "$logs/ahead-$1.log" 2>&1 &
	aheads+=($!)
}

# show LOG PID: the lines of progress in LOG, until PID has ended.
show() {
	tail -n +1 -s 0.5 -f --pid="$2" "$1" |
		grep --line-buffered -E '^  (ok|FAILED|building|unpacking|looking|waiting|[a-z-]+: [0-9]+ steps)' || true
}

# step MINUTES NAME COMMAND...
step() {
	local minutes=$1 name=$2 log=$logs/${2// /-}.log start=$SECONDS status=0 counts took
	shift 2
	printf -- '--- %s\n' "$name"
	: > "$log"
	timeout --kill-after=30 "${minutes}m" "$@" > "$log" 2>&1 &
	running=$!
	show "$log" "$running"
	wait "$running" || status=$?
	running=
	took="$((SECONDS - start)) s, total $((SECONDS / 60)) min"
	counts=$(tail -n 1 "$log" 2>/dev/null | grep -xE '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?') || counts=
	if [[ -n $counts ]]; then
		# shellcheck disable=SC2086
		set -- ${counts//[^0-9 ]/}
		passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
		((status == 0 || $2 > 0)) || failed=$((failed + 1))
	elif ((status == 0)); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	if ((status == 0)); then
		echo "--- $name: ok${counts:+, $counts} ($took)"
		return
	fi
	echo "--- $name: FAILED${counts:+, $counts} ($took; log: $log)"
	((status != 124 && status != 137)) || echo "    no end after $minutes minutes"
	tail -n 25 "$log" | sed 's/^/    | /'
	return 1
}

skip() {
	echo "--- $1: skipped, $2"
	skipped=$((skipped + 1))
}

s=$root/scripts
step 10 lint "$s/lint.sh" || true
step 5 'infrastructure tests' "$s/pytests.py" "$root/ci/tests" || true
if [[ -e $root/rust/Cargo.toml ]]; then
	step 20 'host tests' "$s/host-tests.sh" || true
else
	skip 'host tests' 'there is no rust/Cargo.toml'
fi

kernel_steps() {
	local name
	if grep -qw __pid "$tree/include/linux/sched.h"; then
		step 20 'raw pids do not compile' "$s/gate-test.sh" || true
	else
		skip 'raw pids do not compile' 'the series has no gate yet'
	fi
	if step 45 'build base' "$s/build.sh" base; then
		ahead debug
		if has_patches; then
			step 10 kunit "$s/job.sh" kunit base || true
			step 25 kselftest "$s/job.sh" kselftest base --timeout 1200 || true
			step 10 demo "$s/job.sh" demo base || true
			if step 15 'root file system' "$s/rootfs.sh" trixie; then
				step 20 programs "$s/debian.sh" programs || true
				step 15 'demo-criu' "$s/demo-criu.sh" || true
				step 20 'criu-cases' "$s/debian.sh" criu-cases --memory 2G || true
			fi
		else
			step 10 boot "$s/job.sh" off base || true
			for name in kunit kselftest demo programs demo-criu criu-cases; do skip "$name" 'the series is empty'; done
		fi
	fi
	if step 45 'build debug' "$s/build.sh" debug; then
		ahead off
		step 15 'kunit debug' "$s/job.sh" kunit debug --timeout 600 || true
		if has_patches; then
			step 40 'kselftest debug' "$s/job.sh" kselftest debug --timeout 2200 --append PIDSPACE_CHURN=5000 || true
		else
			step 10 'boot debug' "$s/job.sh" off debug || true
		fi
	fi
	if step 45 'build off' "$s/build.sh" off; then
		step 10 'boot off' "$s/job.sh" off off || true
		step 20 'pid.o with the series off' "$s/same-size.sh" kernel/pid.o || true
	fi
}
if step 15 'patches apply' "$s/tree.sh"; then
	! has_patches || step 20 'the sweep is generated' "$s/sweep.py" --check || true
	! has_patches || step 5 'map of the boundary' "$s/boundary.py" --check "$tree" || true
	kernel_steps
fi

summary="$passed passed, $failed failed"
((!skipped)) || summary+=", $skipped skipped"
echo "$summary"
((!failed))
