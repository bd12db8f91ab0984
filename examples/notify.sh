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

jq '{url, payload: {text}}' <<<"$input" |
	cronium_execute_tool_action webhook send - "${how[@]}" |
	tee /dev/stderr |
	cronium_output -
