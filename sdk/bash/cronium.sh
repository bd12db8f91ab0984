# shellcheck shell=bash
# What a Bash script can ask of the Cronium job that it runs in. Works with
# 'set -euo pipefail'. Needs Bash 5, curl and jq; writes no files.
#
#   source cronium.sh
#   name=$(cronium_input | jq -r .name)
#   key=$(cronium_get_variable API_KEY | jq -r .)
#   jq -n --arg n "$name" '{hello: $n}' | cronium_output -
#
# Values go in and out as JSON. VALUE may be '-': standard input. Every
# function returns 0, or one of the CRONIUM_E_* below with a sentence on stderr.

# shellcheck disable=SC2034
{
	CRONIUM_E_NOT_IN_JOB=10
	CRONIUM_E_AUTH=11      # 401
	CRONIUM_E_FORBIDDEN=12 # 403
	CRONIUM_E_NOT_FOUND=14 # 404
	CRONIUM_E_CONFLICT=15  # 412
	CRONIUM_E_TOO_LARGE=16 # 413
	CRONIUM_E_INVALID=17   # 400, 409 and every other 4xx
	CRONIUM_E_RATE=18      # 429
	CRONIUM_E_UNAVAILABLE=19 # 5xx, or no answer: a write may not be stored
}

# Whole seconds for a call with its retries.
: "${CRONIUM_TIMEOUT:=30}"

_CRONIUM_BACKOFF_INITIAL_MS=50
_CRONIUM_BACKOFF_MAX_MS=2000

# --- input and output ---------------------------------------------------------

# cronium_input: the job's input; null when none was given.
cronium_input() { _cronium_get /input; }

# cronium_output VALUE|-: sets the output; the last one wins.
cronium_output() { _cronium_write POST /output "${1--}"; }

# --- variables ----------------------------------------------------------------

# cronium_get_variable KEY [DEFAULT]
cronium_get_variable() {
	local path
	_cronium_key "${1-}" || return
	_cronium_get "$path" "${@:2}"
}

# cronium_set_variable KEY VALUE|- [VERSION]: VERSION is the one it must have
# now (cronium_variable_version), '' when it must not exist yet.
cronium_set_variable() {
	local path condition=()
	_cronium_key "${1-}" || return
	case ${3-none}$# in
	3) condition=(-H 'If-None-Match: *') ;;
	*[!0-9A-Za-z]*)
		_cronium_fail "$CRONIUM_E_INVALID" "a version is what \
cronium_variable_version tells, not '$3'"
		return
		;;
	*3) condition=(-H "If-Match: \"$3\"") ;;
	esac
	_cronium_write PUT "$path" "${2--}" "${condition[@]}"
}

# cronium_variable_version KEY: what cronium_set_variable takes.
cronium_variable_version() {
	local path body='' reply etag
	_cronium_key "${1-}" || return
	_cronium_call GET "$path" || return
	printf '%s\n' "$etag"
}

# cronium_delete_variable KEY: CRONIUM_E_NOT_FOUND when it was not there.
cronium_delete_variable() {
	local path body='' reply etag
	_cronium_key "${1-}" || return
	_cronium_call DELETE "$path"
}

# cronium_increment_variable KEY [BY]: adds in one step that nobody can come
# between, prints the new value.
cronium_increment_variable() {
	local path body='' reply etag
	_cronium_key "${1-}" || return
	body="{\"by\":${2-1}}"
	_cronium_call POST "$path/increment" || return
	# Not with jq, which rounds large integers.
	[[ $reply =~ ([-+.0-9Ee]+)[[:space:]]*\}$ ]] || return
	printf '%s\n' "${BASH_REMATCH[1]}"
}

# cronium_list_variables [PREFIX]: one name a line.
cronium_list_variables() {
	local body='' reply etag quoted
	_cronium_quote "${1-}"
	_cronium_call GET "/variables?prefix=$quoted" || return
	printf '%s' "$reply" | jq -r '.[]'
}

# --- condition and context ----------------------------------------------------

# cronium_get_condition: prints true or false; false until it was set.
cronium_get_condition() { _cronium_get /condition false; }

# cronium_set_condition true|false
cronium_set_condition() { _cronium_write POST /condition "${1-}"; }

# cronium_get_event_context: what caused the job, an object.
cronium_get_event_context() { _cronium_get /context; }

# --- the call -----------------------------------------------------------------

# _cronium_fail CODE TEXT
_cronium_fail() {
	printf 'cronium: %s\n' "$2" >&2
	return "$1"
}

# _cronium_quote TEXT: sets quoted, percent-encoded.
_cronium_quote() {
	local LC_ALL=C i char
	quoted=
	for ((i = 0; i < ${#1}; i++)); do
		char=${1:i:1}
		if [[ $char != [A-Za-z0-9._~-] ]]; then
			printf -v char %d "'$char"
			printf -v char %%%02X "$((char & 255))"
		fi
		quoted+=$char
	done
}

# _cronium_key KEY: sets path.
_cronium_key() {
	local quoted
	if [ -z "$1" ]; then
		_cronium_fail "$CRONIUM_E_INVALID" "a variable's key is missing"
		return
	fi
	_cronium_quote "$1"
	path=/variables/$quoted
}

# _cronium_get PATH [DEFAULT]: prints the value, or DEFAULT when there is none.
_cronium_get() {
	local LC_ALL=C body='' reply etag code=0
	if [ $# -lt 2 ]; then
		_cronium_call GET "$1" || return
	else
		_cronium_call GET "$1" "$CRONIUM_E_NOT_FOUND" || code=$?
		[ "$code" != "$CRONIUM_E_NOT_FOUND" ] || reply=$2 code=0
		[ "$code" = 0 ] || return "$code"
	fi
	printf '%s\n' "$reply"
}

# _cronium_write METHOD PATH VALUE|- [CURL_ARG...]
_cronium_write() {
	local LC_ALL=C body=$3 reply etag # in C, large values are quick
	[[ $body != - ]] || body=$(cat)
	_cronium_call "$1" "$2" '' "${@:4}"
}

# _cronium_call METHOD PATH [QUIET [CURL_ARG...]]: sends body; sets reply and
# etag, or fails with a sentence on stderr, but for the code QUIET without one.
_cronium_call() {
	local - LC_ALL=C IFS=$' \t\n'
	# No trace of the token, and every status is looked at.
	{ set +eux +o pipefail; } 2>/dev/null
	local method=$1 quiet=${3-} curl=() code status retry_after
	local attempt deadline=$((CRONIUM_TIMEOUT * 1000000))
	deadline=$((deadline + ${EPOCHREALTIME//[!0-9]/}))

	_cronium_prepare "$2" "${@:4}" || return
	for ((attempt = 0; ; attempt++)); do
		_cronium_attempt
		case $code:$status in
		0:429 | 0:50[234]) ;; # try again
		0:* | [123]:*) break ;; # curl: 1 to 3 are its arguments
		esac
		_cronium_pause "$attempt" || break
	done
	_cronium_result
}

# _cronium_prepare PATH [CURL_ARG...]: sets curl, its arguments, the same for
# every attempt: with one Idempotency-Key a write counts once.
_cronium_prepare() {
	if [ -z "${CRONIUM_RUNTIME_API-}" ] ||
		[ -z "${CRONIUM_EXECUTION_TOKEN-}" ]; then
		_cronium_fail "$CRONIUM_E_NOT_IN_JOB" "this script does not run in \
a Cronium job (CRONIUM_RUNTIME_API and CRONIUM_EXECUTION_TOKEN are not set): \
start it with 'cronium run SCRIPT'"
		return
	fi
	curl=(-qgsi --noproxy '*' -X "$method" -w . "${@:2}")
	if [ "$method" != GET ]; then
		curl+=(-H "Idempotency-Key: $(</proc/sys/kernel/random/uuid)")
	fi
	if [[ $body ]]; then
		curl+=(-H 'Content-Type: application/json' --data-binary @-)
	fi
	curl+=("${CRONIUM_RUNTIME_API%/}$1")
}

# One attempt: sets code, curl's; status, reply, etag and retry_after. Body
# and token go to curl through descriptors: its arguments are limited, and
# anybody can list them.
_cronium_attempt() {
	local left=$((deadline - ${EPOCHREALTIME//[!0-9]/})) head=
	printf -v left '%d.%06d' $((left / 1000000)) $((left % 1000000))
	reply=$(printf %s "$body" | curl "${curl[@]}" --max-time "$left" \
		-H @<(printf 'Authorization: Bearer %s\n' "$CRONIUM_EXECUTION_TOKEN"))
	code=$?
	reply=${reply%.}
	status=1xx
	while [[ $status == 1?? && $reply == *$'\r\n\r\n'* ]]; do
		head=${reply%%$'\r\n\r\n'*}
		reply=${reply:${#head}+4}
		status=${head#* }
		status=${status:0:3}
	done
	etag=
	[[ ! $head =~ $'\n'[Ee][Tt][Aa][Gg]:[[:space:]]*\"([^\"]*)\" ]] ||
		etag=${BASH_REMATCH[1]}
	retry_after=0
	[[ ! $head =~ $'\n'[Rr]etry-[Aa]fter:[[:space:]]*([0-9]+) ]] ||
		retry_after=${BASH_REMATCH[1]}
}

# _cronium_pause ATTEMPT: full jitter after what Retry-After says; fails when
# there is no time for it.
_cronium_pause() {
	local ceiling=$((_CRONIUM_BACKOFF_INITIAL_MS << ($1 < 16 ? $1 : 16))) us
	((ceiling < _CRONIUM_BACKOFF_MAX_MS)) ||
		ceiling=$_CRONIUM_BACKOFF_MAX_MS
	us=$((RANDOM * ceiling * 1000 / 32768 + retry_after * 1000000))
	((${EPOCHREALTIME//[!0-9]/} + us < deadline)) || return
	printf -v us '%d.%06d' $((us / 1000000)) $((us % 1000000))
	sleep "$us"
}

_cronium_result() {
	local why error
	if [ "$code" != 0 ]; then
		case $code in
		3) why="that is no address" ;;
		7) why="cannot connect" ;;
		28) why="timed out" ;;
		*) why="curl failed with $code" ;;
		esac
		_cronium_fail "$CRONIUM_E_UNAVAILABLE" "the runtime at \
$CRONIUM_RUNTIME_API did not answer within $CRONIUM_TIMEOUT s: $why"
		return
	fi
	case $status in
	2??) return ;;
	401) error=$CRONIUM_E_AUTH ;;
	403) error=$CRONIUM_E_FORBIDDEN ;;
	404) error=$CRONIUM_E_NOT_FOUND ;;
	412) error=$CRONIUM_E_CONFLICT ;;
	413) error=$CRONIUM_E_TOO_LARGE ;;
	429) error=$CRONIUM_E_RATE ;;
	4??) error=$CRONIUM_E_INVALID ;;
	*) error=$CRONIUM_E_UNAVAILABLE ;;
	esac
	[ "$error" != "$quiet" ] || return "$error"
	why=$(printf %s "$reply" |
		jq -r '"\(.detail // .title) [\(.code)]"' 2>/dev/null)
	_cronium_fail "$error" "${why:-the runtime answered $status}"
}
