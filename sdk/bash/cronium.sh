# shellcheck shell=bash
# What a Bash script can ask of the Cronium job that it runs in. Works with
# 'set -euo pipefail'. Needs curl and jq.
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
	CRONIUM_E_INVALID=17   # 400, 409, 422
	CRONIUM_E_RATE=18      # 429
	CRONIUM_E_UNAVAILABLE=19
}

# Seconds for a whole call with its retries.
: "${CRONIUM_TIMEOUT:=30}"

# cronium_input: the job's input; null when none was given.
cronium_input() { _cronium_get /input; }

# cronium_output VALUE|-: sets the output; the last one wins.
cronium_output() { _cronium_write POST /output "${1--}"; }

# cronium_get_variable KEY [DEFAULT]
cronium_get_variable() {
	local path
	path=$(_cronium_key "$1") || return
	if [ $# -lt 2 ]; then
		_cronium_get "$path"
	else
		_cronium_get_or "$path" "$2"
	fi
}

# cronium_set_variable KEY VALUE|- [VERSION]: VERSION is the one it must have
# now (cronium_variable_version), '' when it must not exist yet.
cronium_set_variable() {
	local path condition=()
	path=$(_cronium_key "$1") || return
	if [ $# -ge 3 ]; then
		condition=(-H "If-Match: \"$3\"")
		[ -n "$3" ] || condition=(-H 'If-None-Match: *')
	fi
	_cronium_write PUT "$path" "$2" "${condition[@]}"
}

# cronium_variable_version KEY: what cronium_set_variable takes.
cronium_variable_version() {
	local path
	path=$(_cronium_key "$1") || return
	_cronium_call GET "$path" '' >/dev/null || return
	printf '%s\n' "$_cronium_etag"
}

# cronium_delete_variable KEY: returns CRONIUM_E_NOT_FOUND when it was not there.
cronium_delete_variable() {
	local path
	path=$(_cronium_key "$1") || return
	_cronium_call DELETE "$path" '' >/dev/null
}

# cronium_increment_variable KEY [BY]: prints the new value.
cronium_increment_variable() {
	local path
	path=$(_cronium_key "$1") || return
	_cronium_call POST "$path/increment" "{\"by\":${2-1}}" | jq .value
}

# cronium_list_variables [PREFIX]: one name a line.
cronium_list_variables() {
	_cronium_get "/variables?prefix=$(_cronium_quote "${1-}")" |
		jq -r '.[]'
}

# cronium_get_condition: prints true or false; false until it was set.
cronium_get_condition() { _cronium_get_or /condition false; }

# cronium_set_condition true|false
cronium_set_condition() { _cronium_write POST /condition "$1"; }

# cronium_get_event_context: what caused the job, an object.
cronium_get_event_context() { _cronium_get /context; }

_cronium_fail() {
	local code=$1
	shift
	printf 'cronium: %s\n' "$*" >&2
	return "$code"
}

_cronium_quote() { jq -rn --arg s "$1" '$s | @uri'; }

_cronium_key() {
	[ -n "${1-}" ] || {
		_cronium_fail "$CRONIUM_E_INVALID" "a variable's key is missing"
		return
	}
	printf '/variables/%s' "$(_cronium_quote "$1")"
}

_cronium_get() {
	_cronium_call GET "$1" '' && echo
}

# _cronium_get_or PATH DEFAULT: DEFAULT where there is no such value.
_cronium_get_or() {
	local complaint code=0
	exec {_cronium_stdout}>&1
	complaint=$(_cronium_get "$1" 2>&1 >&"$_cronium_stdout") || code=$?
	exec {_cronium_stdout}>&-
	if [ "$code" -eq "$CRONIUM_E_NOT_FOUND" ]; then
		printf '%s\n' "$2"
	elif [ "$code" -ne 0 ]; then
		printf '%s\n' "$complaint" >&2
		return "$code"
	fi
}

# _cronium_write METHOD PATH VALUE|- [CURL_ARG...]
_cronium_write() {
	local method=$1 path=$2 value=$3
	shift 3
	[ "$value" != - ] || value=$(cat)
	_cronium_call "$method" "$path" "$value" "$@" >/dev/null
}

_cronium_in_job() {
	if [ -z "${CRONIUM_RUNTIME_API-}" ] ||
		[ -z "${CRONIUM_EXECUTION_TOKEN-}" ]; then
		_cronium_fail "$CRONIUM_E_NOT_IN_JOB" "this script does not run in a" \
			"Cronium job (CRONIUM_RUNTIME_API and CRONIUM_EXECUTION_TOKEN" \
			"are not set): start it with 'cronium run SCRIPT'"
	fi
}

# _cronium_call METHOD PATH BODY [CURL_ARG...]: the reply's body on stdout, its
# ETag in _cronium_etag.
_cronium_call() {
	local method=$1 path=$2 body=$3 file code=0
	shift 3
	_cronium_in_job || return
	if [ "$method" != GET ]; then
		set -- "$@" -H "Idempotency-Key: $(</proc/sys/kernel/random/uuid)"
		[ "$method" = DELETE ] ||
			set -- "$@" -H 'Content-Type: application/json' --data-binary @-
	fi
	file=$(mktemp) || return
	_cronium_exchange "$method" "$path" "$body" "$file" "$@" || code=$?
	rm -f "$file"
	return "$code"
}

# _cronium_exchange METHOD PATH BODY FILE [CURL_ARG...]: the token goes to curl
# through a descriptor, never through its arguments, which anybody can list;
# the reply goes through a file, because curl keeps the bodies of failed
# attempts when it writes to a pipe.
_cronium_exchange() {
	local method=$1 path=$2 body=$3 file=$4 status
	shift 4
	status=$(printf '%s' "$body" | curl -sS -X "$method" -o "$file" \
		-H @<(printf 'Authorization: Bearer %s\n' "$CRONIUM_EXECUTION_TOKEN") \
		--retry 20 --retry-connrefused --retry-max-time "$CRONIUM_TIMEOUT" \
		--max-time "$CRONIUM_TIMEOUT" -w '%{http_code} %header{etag}' "$@" \
		"$CRONIUM_RUNTIME_API$path") || {
		_cronium_fail "$CRONIUM_E_UNAVAILABLE" \
			"the runtime at $CRONIUM_RUNTIME_API did not answer"
		return
	}
	_cronium_etag=${status#* }
	_cronium_etag=${_cronium_etag//\"/}
	_cronium_status "${status%% *}" "$file"
}

# _cronium_status STATUS FILE
_cronium_status() {
	local code
	case $1 in
	2??)
		cat "$2"
		return
		;;
	401) code=$CRONIUM_E_AUTH ;;
	403) code=$CRONIUM_E_FORBIDDEN ;;
	404) code=$CRONIUM_E_NOT_FOUND ;;
	412) code=$CRONIUM_E_CONFLICT ;;
	413) code=$CRONIUM_E_TOO_LARGE ;;
	429) code=$CRONIUM_E_RATE ;;
	5??) code=$CRONIUM_E_UNAVAILABLE ;;
	*) code=$CRONIUM_E_INVALID ;;
	esac
	_cronium_fail "$code" "$(jq -r '.detail // .title' "$2" 2>/dev/null ||
		echo "the runtime answered $1")"
}
