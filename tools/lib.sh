# shellcheck shell=bash
# Small helpers shared by ./dev and the scripts in tools/.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT

say() {
	printf '\033[1m==>\033[0m %s\n' "$*" >&2
}

# Plain text where nobody looks at colours.
[ -t 2 ] || say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'dev: %s\n' "$*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		die "'$*' needs root: run it as root, or install sudo"
	fi
}

# wait_for SECONDS COMMAND...: true as soon as COMMAND is, false at the
# deadline.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# The distribution's Python, because the test packages are the
# distribution's too; one from pyenv or conda does not see them.
system_python() {
	if [ -x /usr/bin/python3 ]; then
		echo /usr/bin/python3
	else
		command -v python3
	fi
}
