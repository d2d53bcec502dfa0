#!/bin/bash
# clean.sh: remove what the other verbs built. The tools and the compiler cache
# stay, and so does a git work tree: that one is somebody's work.
. "$(dirname "$0")/lib.sh"

clean() {
	rm -rf "$cache"/{build,tree,tree.*,linux,initramfs,lint,cargo,kvm,download} "$cache"/.scratch-*
	find "$cache" -mindepth 2 -maxdepth 2 -path '*/user-*' -not -name work -exec rm -rf {} +
}
with_lock source clean
