#!/bin/bash
# rfc.sh: the series as mail, in the cache. ARGS: one section of it, by a word of
# its heading.
. "$(dirname "$0")/lib.sh"

exec "$root/scripts/rfc.py" "${series%/series}" "$cache/rfc" ${ARGS:+"$ARGS"}
