#!/bin/bash
# Tells a web hook what came of a job; with "send" false it only shows what it
# would send.
#
# cronium run examples/notify.sh \
#     --input '{"url": "https://hooks.example.org/ops", "text": "done"}'
set -euo pipefail
source cronium.sh

input=$(cronium_input)
how=(--dry-run)
[ "$(jq .send <<<"$input")" != true ] || how=()

result=$(jq '{url, payload: {text}}' <<<"$input" |
	cronium_execute_tool_action webhook send - "${how[@]}")
printf '%s\n' "$result" >&2
cronium_output "$result"
