#!/bin/bash
# Greets whoever the input names, and counts the visits.
set -euo pipefail
source cronium.sh

name=$(cronium_input | jq -r '.name // "world"')
greeting=$(cronium_get_variable GREETING '"Hello"' | jq -r .)
visits=$(cronium_increment_variable visits)

echo "greeting $name, visit $visits"
jq -n --arg m "$greeting, $name!" --argjson v "$visits" \
	'{message: $m, visits: $v}' | cronium_output -
