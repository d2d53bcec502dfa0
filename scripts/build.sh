#!/bin/bash
# build.sh NAME: the tree, configured by ci/config/NAME.config and built. Nothing
# is done when nothing that goes into it has changed.
. "$(dirname "$0")/lib.sh"

name=$1
"$root/scripts/tree.sh"
with_lock "build-${place##*/}-$name" build_kernel "$tree" "$builds/$name" "$name" "$cache/log/build-$name.log"
