#!/bin/bash
# host-tests.sh: the pure Rust parts under cargo. The last line counts the tests.
. "$(dirname "$0")/lib.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc CARGO_TARGET_DIR=$cache/cargo \
	cargo test --locked --manifest-path "$root/rust/Cargo.toml" 2>&1 | tee "$log" || status=1
# "test result: ok. 12 passed; 0 failed; 1 ignored; ..."
awk -v status=$status '
	/^test result: / { passed += $4; failed += $6; ignored += $8 }
	END {
		# No test at all, or one that did not even build, is a failure.
		if ((status || !passed) && !failed) failed = 1
		printf "%d passed, %d failed", passed, failed
		if (ignored) printf ", %d skipped", ignored
		print ""
	}' "$log"
exit $status
