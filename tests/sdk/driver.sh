#!/bin/bash
# Makes the calls of vector steps with the Bash SDK; what it reads and prints
# is said in sdk/vectors/README.md.
set -euo pipefail
# shellcheck source=/dev/null
source cronium.sh

declare -A saved=()
declare -A errors=(
	[$CRONIUM_E_AUTH]=Auth [$CRONIUM_E_FORBIDDEN]=Forbidden
	[$CRONIUM_E_NOT_FOUND]=NotFound [$CRONIUM_E_CONFLICT]=Conflict
	[$CRONIUM_E_TOO_LARGE]=TooLarge [$CRONIUM_E_INVALID]=Invalid
	[$CRONIUM_E_RATE]=RateLimit [$CRONIUM_E_UNAVAILABLE]=Unavailable
	[$CRONIUM_E_TOOL]=Tool [$CRONIUM_E_STREAM_BROKEN]=StreamBroken
)
# Which argument of which call is JSON; the others are text.
declare -A json_argument=(
	[output]=0 [set_variable]=1 [get_variable]=1 [set_condition]=0
	[increment_variable]=1 [execute_tool_action]=2
)

# argument STEP INDEX: the argument as the call takes it.
argument() {
	local call text
	call=$(jq -r .call <<<"$1")
	if [ "${json_argument[$call]-none}" = "$2" ]; then
		jq -c ".args[$2]" <<<"$1"
	else
		text=$(jq -r ".args[$2]" <<<"$1")
		[[ $text != \$* ]] || text=${saved[${text#\$}]}
		printf '%s\n' "$text"
	fi
}

# result STEP TEXT: as JSON.
result() {
	case $(jq -r .call <<<"$1") in
	stream_input | subscribe) jq -s . <<<"$2" ;;
	list_variables) jq -Rn '[inputs | select(. != "")]' <<<"$2" ;;
	variable_version) jq -n --arg v "$2" '$v' ;;
	delete_variable) echo true ;;
	*) [ -n "$2" ] && printf '%s\n' "$2" || echo null ;;
	esac | jq -c '{result: .}'
}

# failure CODE COMPLAINT RECORDS: as JSON; what is none of CRONIUM_E_* ends the driver.
failure() {
	local word=
	[[ ! $2 =~ \[([a-z_]+)\]$ ]] || word=${BASH_REMATCH[1]}
	if [ -z "${errors[$1]-}" ]; then
		printf '%s\n' "$2" >&2
		return "$1"
	fi
	jq -cn --arg error "${errors[$1]}" --arg code "$word" '
		{error: $error, code: $code} +
		([inputs] | if . == [] then {} else {records: .} end)' <<<"$3"
}

# --- the calls that are not simply made

# stream_output STEP: writes what is args[0]; how many the stream then has.
stream_output() {
	local how=() total
	[ "$(jq -r '.args[1]' <<<"$1")" != end ] || how=(--end)
	jq -c '.args[0][]' <<<"$1" | cronium_stream_output "${how[@]}" || return
	total=$(($(<"$complaints/written") + $(jq '.args[0] | length' <<<"$1")))
	printf '%s\n' "$total" | tee "$complaints/written"
}

# during STEP COUNT: the steps that are due after so many events.
during() {
	local step depth=$((depth + 1))
	while IFS= read -r step; do
		run "$step" >/dev/null || return
	done < <(jq -c --argjson n "$2" '.during[]? | select(.after == $n)' <<<"$1")
}

# kill_tree PID: a process and all that it has started, if they are there.
kill_tree() {
	local child
	for child in $(ps -o pid= --ppid "$1"); do
		kill_tree "$child"
	done
	kill "$1" 2>/dev/null || :
}

# subscribe STEP ARG...: the first events, with all the members they may have.
subscribe() {
	local events event count=0 code=0 subscriber
	events=$(jq '.events | length' <<<"$1")
	exec {told}< <(cronium_subscribe "${@:2}" --count "$events" || echo "$?")
	subscriber=$!
	while [ "$count" -lt "$events" ] && IFS= read -r event <&"$told"; do
		if [[ $event != \{* ]]; then
			code=$event
			break
		fi
		jq -c '{type, key, version, value, deleted: (.deleted // false)}' \
			<<<"$event"
		count=$((count + 1))
		[ "$count" = "$events" ] || during "$1" "$count" || code=$?
		[ "$code" = 0 ] || break
	done
	exec {told}<&-
	[ "$code" = 0 ] || kill_tree "$subscriber"
	return "$code"
}

# options STEP: the arguments that have names, one a line.
options() {
	jq -r '.options // {} |
		if .dry_run then "--dry-run" else empty end,
		if .idempotency_key then "--idempotency-key", .idempotency_key
		else empty end' <<<"$1"
}

# last_version STEP TEXT: what is saved of the call.
last_version() {
	case $(jq -r .call <<<"$1") in
	subscribe) jq -s 'last.version' <<<"$2" ;;
	*) printf '%s\n' "$2" ;;
	esac
}

run() { # STEP
	local call count args=() text complaint code=0 name i more=()
	call=$(jq -r .call <<<"$1")
	count=$(jq '.args | length' <<<"$1")
	for ((i = 0; i < count; i++)); do
		args+=("$(argument "$1" "$i")")
	done
	mapfile -t more < <(options "$1")
	case $call in
	stream_output | subscribe) args=("$call" "$1" "${args[@]}") ;;
	*) args=("cronium_$call" "${args[@]}" "${more[@]}") ;;
	esac
	text=$("${args[@]}" 2>"$complaints/$depth") || code=$?
	complaint=$(<"$complaints/$depth")
	if [ "$call:$code" = "delete_variable:$CRONIUM_E_NOT_FOUND" ]; then
		printf '{"result":false}\n'
	elif [ "$code" -ne 0 ]; then
		failure "$code" "$complaint" "$text"
	else
		name=$(jq -r '.save // ""' <<<"$1")
		[ -z "$name" ] || saved[$name]=$(last_version "$1" "$text")
		result "$1" "$text"
	fi
}

results=$(mktemp)
complaints=$(mktemp -d) depth=0
echo 0 >"$complaints/written"
trap 'rm -rf "$results" "$complaints"' EXIT
while IFS= read -r step; do
	run "$step" >>"$results"
done < <(jq -c '.[]' "$1")
jq -cs . "$results"
