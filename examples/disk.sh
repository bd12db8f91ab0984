#!/bin/bash
# Tells how full the work dir is; the condition is true from a limit on.
#
# cronium run --allow-run examples/disk.sh --input '{"limit_percent": 80}'
set -euo pipefail
source cronium.sh

limit=$(cronium_input | jq '.limit_percent // 90')
used=$(df --output=pcent . | tr -dc 0-9)

echo "$used % used, the limit is $limit %"
cronium_set_condition "$( ((used >= limit)) && echo true || echo false)"
jq -n --argjson u "$used" --argjson l "$limit" \
	'{used_percent: $u, limit_percent: $l}' | cronium_output -
