#!/bin/bash
# rfc.sh: the series as mail, in the cache.
. "$(dirname "$0")/lib.sh"

exec "$root/scripts/rfc.py" "${series%/series}" "$cache/rfc"
