#!/bin/bash
# Makes the calls of vector steps with the Bash SDK; see driver.py.
set -euo pipefail
# shellcheck source=/dev/null
source cronium.sh

declare -A saved=()
declare -A errors=(
	[$CRONIUM_E_AUTH]=Auth [$CRONIUM_E_FORBIDDEN]=Forbidden
	[$CRONIUM_E_NOT_FOUND]=NotFound [$CRONIUM_E_CONFLICT]=Conflict
	[$CRONIUM_E_TOO_LARGE]=TooLarge [$CRONIUM_E_INVALID]=Invalid
	[$CRONIUM_E_RATE]=RateLimit [$CRONIUM_E_UNAVAILABLE]=Unavailable
)
# Which argument of which call is JSON; the others are text.
declare -A json_argument=(
	[output]=0 [set_variable]=1 [get_variable]=1 [set_condition]=0
	[increment_variable]=1
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
	list_variables) jq -Rn '[inputs | select(. != "")]' <<<"$2" ;;
	variable_version) jq -n --arg v "$2" '$v' ;;
	delete_variable) echo true ;;
	*) [ -n "$2" ] && printf '%s\n' "$2" || echo null ;;
	esac | jq -c '{result: .}'
}

# failure CODE COMPLAINT: as JSON; what is none of CRONIUM_E_* ends the driver.
failure() {
	local word=
	[[ ! $2 =~ \[([a-z_]+)\]$ ]] || word=${BASH_REMATCH[1]}
	if [ -z "${errors[$1]-}" ]; then
		printf '%s\n' "$2" >&2
		return "$1"
	fi
	printf '{"error":"%s","code":"%s"}\n' "${errors[$1]}" "$word"
}

run() { # STEP
	local call count args=() text complaint code=0 name i
	call=$(jq -r .call <<<"$1")
	count=$(jq '.args | length' <<<"$1")
	for ((i = 0; i < count; i++)); do
		args+=("$(argument "$1" "$i")")
	done
	text=$("cronium_$call" "${args[@]}" 2>"$complaints") || code=$?
	complaint=$(<"$complaints")
	if [ "$call:$code" = "delete_variable:$CRONIUM_E_NOT_FOUND" ]; then
		printf '{"result":false}\n'
	elif [ "$code" -ne 0 ]; then
		failure "$code" "$complaint"
	else
		name=$(jq -r '.save // ""' <<<"$1")
		[ -z "$name" ] || saved[$name]=$text
		result "$1" "$text"
	fi
}

results=$(mktemp)
complaints=$(mktemp)
trap 'rm -f "$results" "$complaints"' EXIT
while IFS= read -r step; do
	run "$step" >>"$results"
done < <(jq -c '.[]' "$1")
jq -cs . "$results"
