# shellcheck shell=bash
# The helper of old: files beside the script. Variables are plain text.
cronium_input() { cat input.json; }
cronium_output() { printf '%s\n' "${1-$(cat)}" >output.json; }
cronium_get_variable() {
	jq -r --arg k "$1" '.[$k] // ""' variables.json
}
cronium_set_variable() {
	local all
	all=$(jq --arg k "$1" --arg v "$2" '.[$k] = $v' variables.json)
	printf '%s\n' "$all" >variables.json
}
cronium_event() { cat event.json; }
cronium_get_condition() { cat condition.json 2>/dev/null || echo false; }
cronium_set_condition() { printf '%s\n' "$1" >condition.json; }
