# shellcheck shell=bash
# What a Bash script can ask of the Cronium job that it runs in. Works with
# 'set -euo pipefail'. Needs Bash 5, curl and jq; writes no files.
#
#   source cronium.sh
#   name=$(cronium_input | jq -r .name)
#   key=$(cronium_get_variable API_KEY | jq -r .)
#   jq -n --arg n "$name" '{hello: $n}' | cronium_output -
#   cronium_stream_input | jq -c --unbuffered .name | cronium_stream_output
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
	CRONIUM_E_TOOL=20      # 424: the action failed; or its outcome is unknown
	CRONIUM_E_STREAM_BROKEN=21 # the job that writes the stream failed
}

# Whole seconds for a call with its retries, and for a tool's action.
: "${CRONIUM_TIMEOUT:=30}"
: "${CRONIUM_TOOL_TIMEOUT:=300}"

_CRONIUM_BACKOFF_INITIAL_MS=50
_CRONIUM_BACKOFF_MAX_MS=2000
_CRONIUM_BATCH_BYTES=900000
# The sidecar waits for the backend, 120 s at most, before it gives up.
_CRONIUM_REPLY_S=150
# A watch says something every 15 s.
_CRONIUM_WATCH_SILENCE_S=45

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

# --- tools --------------------------------------------------------------------

# cronium_execute_tool_action TOOL ACTION [PARAMS|-] [--dry-run]
# [--idempotency-key KEY]: makes the action once and prints its result. PARAMS
# is an object; without it there are none. A dry run prints what would be sent.
cronium_execute_tool_action() {
	local LC_ALL=C CRONIUM_TIMEOUT=$CRONIUM_TOOL_TIMEOUT
	local words=() dry='' key=() tool body reply etag
	while [ $# -gt 0 ]; do
		case $1 in
		--dry-run) dry=',"dry_run":true' ;;
		--idempotency-key)
			_cronium_word "${2-}" || return
			key=(-H "Idempotency-Key: $2")
			shift
			;;
		*) words+=("$1") ;;
		esac
		shift
	done
	if [ ${#words[@]} -lt 2 ] || [ ${#words[@]} -gt 3 ]; then
		_cronium_fail "$CRONIUM_E_INVALID" "a tool, an action and its \
params are wanted, not ${#words[@]} arguments"
		return
	fi
	body=${words[2]-'{}'}
	[[ $body != - ]] || _cronium_slurp
	tool=$(jq -cn --arg t "${words[0]}" --arg a "${words[1]}" \
		'{tool: $t, action: $a}') || return
	body="${tool%\}},\"params\":$body$dry}"
	_cronium_call POST /tool-actions/execute '' "${key[@]}" || return
	printf '%s\n' "$reply"
}

# --- streams and subscriptions ------------------------------------------------

# cronium_stream_input [FROM]: the records of the input stream from that number
# on, a JSON value a line, until it ends. Lost connections are made again,
# without a gap or a repeat. CRONIUM_E_STREAM_BROKEN behind the last record
# where the job that writes them failed.
cronium_stream_input() {
	local next=${1-0} states=false left=0
	if [[ ! $next =~ ^[0-9]+$ ]]; then
		_cronium_fail "$CRONIUM_E_INVALID" "records are numbered from \
0, '$next' is none of them"
		return
	fi
	_cronium_follow records
}

# cronium_stream_output [--end]: appends what comes on standard input, a JSON
# value a line, to the output stream: each as soon as it is there, and once,
# whatever is lost on the way. Returns when all is stored. --end: then the
# stream is complete. One at a time.
cronium_stream_output() {
	local - LC_ALL=C IFS=$' \t\n'
	{ set +eux +o pipefail; } 2>/dev/null
	local batch='' rest='' next='' end='' eof='' body reply etag
	case $#${1-} in
	0 | 1--end) ;;
	*)
		_cronium_fail "$CRONIUM_E_INVALID" "--end is all that \
cronium_stream_output takes, not '$*'"
		return
		;;
	esac
	_cronium_append '' || return # where does it stand?
	while [ -z "$eof" ]; do
		_cronium_gather
		[ -z "$eof" ] || end=${1-}
		[ -z "$batch$end" ] || _cronium_append "$batch" || return
	done
}

# cronium_subscribe KEY [VERSION] [--count N] [--include-state]: the changes of
# a variable as they are made, a JSON object a line: type, key, version, value
# or deleted. The first is a snapshot, how things are; with VERSION, what came
# after it. It ends behind N changes, or with the execution.
cronium_subscribe() {
	local version='' states=false left=0 path words=()
	while [ $# -gt 0 ]; do
		case $1 in
		--include-state) states=true ;;
		--count)
			if [[ ! ${2-} =~ ^[1-9][0-9]*$ ]]; then
				_cronium_fail "$CRONIUM_E_INVALID" "--count wants \
how many changes, not '${2-}'"
				return
			fi
			left=$2
			shift
			;;
		*) words+=("$1") ;;
		esac
		shift
	done
	version=${words[1]-}
	if [[ $version == *[!0-9]* ]]; then
		_cronium_fail "$CRONIUM_E_INVALID" "a version is what \
cronium_variable_version tells, not '$version'"
		return
	fi
	_cronium_key "${words[0]-}" || return
	_cronium_follow changes
}

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

# _cronium_word TEXT: what may be in a header.
_cronium_word() {
	local LC_ALL=C
	[[ ! $1 =~ ^[!-~]{1,128}$ ]] || return 0
	_cronium_fail "$CRONIUM_E_INVALID" "an idempotency key is 1 to 128 \
printable ASCII characters, not '$1'"
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

# Sets body, standard input without the newlines at its end.
_cronium_slurp() {
	local more
	body=
	while IFS= read -rN 65536 more; do
		body+=$more
	done
	body+=$more
	while [[ $body == *$'\n' ]]; do
		body=${body%$'\n'}
	done
}

# _cronium_write METHOD PATH VALUE|- [CURL_ARG...]
_cronium_write() {
	local LC_ALL=C body=$3 reply etag # in C, large values are quick
	[[ $body != - ]] || _cronium_slurp
	_cronium_call "$1" "$2" '' "${@:4}"
}

# _cronium_call METHOD PATH [QUIET [CURL_ARG...]]: sends body; sets reply and
# etag, or fails with a sentence on stderr, but for the code QUIET without one.
_cronium_call() {
	local - LC_ALL=C IFS=$' \t\n'
	# No trace of the token, and every status is looked at.
	{ set +eux +o pipefail; } 2>/dev/null
	local method=$1 quiet=${3-} curl=() code status retry_after
	local attempt deadline limit

	_cronium_deadline "$CRONIUM_TIMEOUT"
	limit=$deadline
	_cronium_prepare "$2" "${@:4}" || return
	for ((attempt = 0; ; attempt++)); do
		_cronium_attempt
		case $code:$status in
		0:429 | 0:50[234]) ;; # try again
		0:* | [123]:* | 77:*) break ;; # curl: what it was given
		esac
		_cronium_pause "$attempt" || break
	done
	_cronium_result
}

# _cronium_deadline SECONDS: sets deadline, in microseconds since the epoch.
_cronium_deadline() {
	deadline=$(($1 * 1000000 + ${EPOCHREALTIME//[!0-9]/}))
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
	# The number of a stream's record says what is a repeat.
	if [[ $method != GET && $1 != /output/stream* &&
		" ${*:2}" != *' Idempotency-Key:'* ]]; then
		curl+=(-H "Idempotency-Key: $(</proc/sys/kernel/random/uuid)")
	fi
	case $1$body in
	/output/stream*)
		curl+=(-H 'Content-Type: application/x-ndjson' --data-binary @-)
		;;
	"$1") ;;
	*) curl+=(-H 'Content-Type: application/json' --data-binary @-) ;;
	esac
	_cronium_trace
	# The heads of HTTP/1.1 are what is read below.
	[[ $CRONIUM_RUNTIME_API != https:* ]] ||
		curl+=(--http1.1 ${CRONIUM_CA_FILE:+--cacert "$CRONIUM_CA_FILE"})
	curl+=("${CRONIUM_RUNTIME_API%/}$1")
}

# Each call is a span of the trace that the environment names.
_cronium_trace() {
	local hex='[0-9a-f]' span
	[[ ${TRACEPARENT-} =~ ^(00-$hex{32})-$hex{16}-($hex{2})$ ]] || return 0
	printf -v span '%08x%08x' "$SRANDOM" "$SRANDOM"
	curl+=(-H "traceparent: ${BASH_REMATCH[1]}-$span-${BASH_REMATCH[2]}")
}

# One attempt: sets code, curl's; status, reply, etag and retry_after. Body
# and token go to curl through descriptors: its arguments are limited, and
# anybody can list them.
_cronium_attempt() {
	local left=$((limit - ${EPOCHREALTIME//[!0-9]/})) head=
	((left > 0)) || left=1 # 0 would be for ever
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
	# A pipe that nobody writes to: sleep would be one more program.
	read -rt "$us" <> <(:) || :
	# Late, nothing is tried that would hide why it failed before.
	((${EPOCHREALTIME//[!0-9]/} < deadline))
}

_cronium_result() {
	local why error word
	if [ "$code" != 0 ]; then
		case $code in
		3) why="that is no address" ;;
		7) why="cannot connect" ;;
		18 | 52 | 56) why="the connection was lost" ;;
		28) why="timed out" ;;
		51 | 60) why="its certificate is not one that is trusted here \
(CRONIUM_CA_FILE)" ;;
		77) why="CRONIUM_CA_FILE cannot be read: $CRONIUM_CA_FILE" ;;
		*) why="curl failed with $code" ;;
		esac
		_cronium_fail "$CRONIUM_E_UNAVAILABLE" "the runtime at \
$CRONIUM_RUNTIME_API did not answer within $CRONIUM_TIMEOUT s: $why"
		return
	fi
	[[ $status != 2?? ]] || return 0
	why=$(printf %s "$reply" |
		jq -r '"\(.detail // .title) [\(.code)]"' 2>/dev/null)
	word=${why##*[}
	word=${word%]}
	case $status in
	409)
		error=$CRONIUM_E_INVALID
		[ "$word" != outcome_unknown ] || error=$CRONIUM_E_TOOL
		[ "$word" != stream_broken ] || error=$CRONIUM_E_STREAM_BROKEN
		;;
	401) error=$CRONIUM_E_AUTH ;;
	403) error=$CRONIUM_E_FORBIDDEN ;;
	404) error=$CRONIUM_E_NOT_FOUND ;;
	412) error=$CRONIUM_E_CONFLICT ;;
	413) error=$CRONIUM_E_TOO_LARGE ;;
	424) error=$CRONIUM_E_TOOL ;;
	429) error=$CRONIUM_E_RATE ;;
	4??) error=$CRONIUM_E_INVALID ;;
	*) error=$CRONIUM_E_UNAVAILABLE ;;
	esac
	[ "$error" != "$quiet" ] || return "$error"
	_cronium_fail "$error" "${why:-the runtime answered $status}"
}

# --- streams: writing ---------------------------------------------------------

# Sets batch, whole lines of standard input: what is there now, or the next
# that comes; and eof. What is behind the last line's end waits in rest.
_cronium_gather() {
	local more
	batch=$rest
	while :; do
		IFS= read -rN 1 more || more=
		batch+=$more
		if [ -n "$more" ] && read -r -t 0; then
			IFS= read -rN 65536 -t 0.001 more || :
			batch+=$more
		elif [ -z "$more" ]; then
			eof=1 rest=
			return
		fi
		[ "${#batch}" -lt "$_CRONIUM_BATCH_BYTES" ] || break
		read -r -t 0 || [[ $batch != *$'\n'* ]] || break
	done
	more=${batch%$'\n'*}
	if [ "${#more}" = "${#batch}" ]; then # a long line
		rest=$batch batch=
		return
	fi
	rest=${batch:${#more}+1}
	batch=$more$'\n'
}

# _cronium_append LINES: appends them at next and advances it; without next,
# asks for it. A stream that is full is waited for.
_cronium_append() {
	local method=POST quiet='' curl=() code status retry_after limit deadline
	local attempt=0 query=${next:+?from=$next} body=$1
	_cronium_prepare "/output/stream$query${end:+&end=1}" || return
	_cronium_deadline "$CRONIUM_TIMEOUT"
	while :; do
		limit=$((${EPOCHREALTIME//[!0-9]/} + _CRONIUM_REPLY_S * 1000000))
		_cronium_attempt
		case $code:$status in
		0:503)
			[[ $reply != *'"stream_full"'* ]] ||
				_cronium_deadline "$CRONIUM_TIMEOUT"
			;;
		0:429 | 0:50[24]) ;;
		0:* | [123]:* | 77:*) break ;;
		esac
		_cronium_pause "$((attempt++))" || break
	done
	_cronium_result || return
	[[ $reply =~ \"next\":[[:space:]]*([0-9]+) ]] || return
	next=${BASH_REMATCH[1]}
}

# --- streams: reading ---------------------------------------------------------

# The lines of curl -i: what they come to on stdout, and how it ended on
# stderr. Behind the last line curl says its status and exit code between two
# of "\u001e", which no JSON contains: so a line that broke off is known. The
# lines stay as they are: jq would round large integers.
# shellcheck disable=SC2016
_CRONIUM_READ='
def start: {head: true, n: 0, status: "", retry: "0", text: "", out: null};
def header($h):
  if ($h | startswith("HTTP/")) then .status = ($h | split(" ")[1])
  elif $h == "" and (.status | startswith("1") | not) then .head = false |
    if $again and .status == "200" then .out = "{\"type\":\"connected\"}"
    else . end
  elif ($h | ascii_downcase | startswith("retry-after:")) then
    .retry = ($h[12:] | gsub("[^0-9]"; ""))
  else . end;
def record($line):
  if $line == "" then . else .out = $line | .n += 1 end;
def dispatch:
  if .data == null then .
  elif .event == "disconnected" or .event == "connected" then
    if $states then .out = "{\"type\":\"" + .event + "\"" +
      (.data[1:] | if . == "}" then . else "," + . end) else . end
  else .out = "{\"type\":\"" + .event + "\"," + .data[1:] | .n += 1 |
    if .id then .version = .id else . end |
    if .n == $left then .exit = "0" else . end
  end | .event = null | .data = null | .id = null;
def change($line):
  if $line == "" then dispatch
  else ($line | index(":")) as $i |
    if $i == null or $i == 0 then .
    else .[$line[:$i]] = ($line[$i + 1:] | ltrimstr(" ")) end
  end;
def item($line):
  if .status != "200" then .text += $line
  elif $kind == "records" then record($line)
  else change($line | rtrimstr("\r")) end;
foreach inputs as $line (start;
  .out = null |
  if ($line | endswith("\u001e")) then ($line | split("\u001e")) as $parts |
    ($parts[1] | split(" ")) as $over | .exit = $over[1] |
    if .status != "200" then .text += $parts[0]
    elif .exit == "0" and $kind == "records" then record($parts[0])
    else . end
  elif .head then header($line | rtrimstr("\r"))
  else item($line) end;
  (.out // empty),
  (if .exit then (del(.out, .data) | stderr | empty), halt
   else empty end))'

# _cronium_follow records|changes: prints what comes, and goes on behind it
# where a connection is lost, until it ends.
_cronium_follow() {
	local - IFS=$' \t\n'
	{ set +eux +o pipefail; } 2>/dev/null
	local kind=$1 again=false reached='' attempt=0 deadline='' opened
	local method=GET body='' curl=() quiet='' over=''
	local code status reply retry_after count
	while :; do
		_cronium_ask || return
		opened=${EPOCHREALTIME//[!0-9]/}
		_cronium_read || return
		[ -z "$over" ] || return 0
		case $code:$status:$kind in
		*:200:*)
			reached=1
			((${EPOCHREALTIME//[!0-9]/} - opened < 2000000)) ||
				deadline=
			again=$states
			[ "$states" = false ] || printf '%s\n' \
				'{"type":"disconnected","reason":"connection lost"}'
			;;
		0:429:* | 0:50[234]:*) [[ $kind:$reached != changes:1 ]] ||
			deadline= ;;
		0:* | [123]:* | 77:*) break ;;
		esac
		((count == 0)) || deadline=
		if [ -z "$deadline" ]; then
			_cronium_deadline "$CRONIUM_TIMEOUT"
			attempt=0
		fi
		_cronium_pause "$((attempt++))" || break
	done
	# A connection that was lost once too often is no reply.
	[[ $status != 200 || $code != 0 ]] || code=52
	_cronium_result
}

# Sets curl for the next request.
_cronium_ask() {
	if [ "$kind" = records ]; then
		_cronium_prepare "/input/stream?from=$next" || return
	else
		_cronium_prepare "$path/watch" ${version:+-H "Last-Event-ID: \
$version"} --speed-limit 1 --speed-time "$_CRONIUM_WATCH_SILENCE_S" || return
	fi
	curl+=(-N --connect-timeout "$CRONIUM_TIMEOUT")
	curl+=(-w $'\x1e%{http_code} %{exitcode}\x1e\n')
}

# Prints what comes of one request; sets code, curl's, status, reply,
# retry_after, count, and advances next or version.
_cronium_read() {
	local summary parts feed
	{
		summary=$(
			exec {feed}< <(exec curl "${curl[@]}" -H @<(printf \
				'Authorization: Bearer %s\n' \
				"$CRONIUM_EXECUTION_TOKEN") 2>/dev/null)
			jq -nrR --unbuffered --arg kind "$kind" \
				--argjson states "$states" --argjson left "$left" \
				--argjson again "$again" "$_CRONIUM_READ" \
				2>&1 >&3 <&"$feed"
			kill "$!" 2>/dev/null # nobody reads it any more
		)
	} 3>&1
	mapfile -t parts < <(printf %s "$summary" | jq -r \
		'.exit, .status, .retry, .n, .version // "", .text' 2>/dev/null)
	# Without one nobody reads what comes any more, as after SIGPIPE.
	[ "${#parts[@]}" -ge 6 ] || return 141
	code=${parts[0]} status=${parts[1]} retry_after=${parts[2]}
	count=${parts[3]} reply=${parts[5]}
	if [ "$kind" = records ]; then
		next=$((next + count))
		[ "$code:$status" != 0:200 ] || over=1
		return
	fi
	version=${parts[4]:-$version}
	if [ "$left" != 0 ]; then
		left=$((left - count))
		[ "$left" != 0 ] || over=1
	fi
}
