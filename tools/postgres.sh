#!/usr/bin/env bash
# shellcheck shell=bash
# A PostgreSQL server of the tests' own: in a directory of its own, reached by
# a unix socket only. It is as durable as any: the tests kill its sessions.
#
# tools/postgres.sh start DIR   makes it where it is not, prints its URL
# tools/postgres.sh crash DIR   ends it as a crash would
# tools/postgres.sh stop DIR    ends it and removes all of it

# The newest that is installed.
postgres_bin() {
	local bin newest=
	for bin in /usr/lib/postgresql/*/bin; do
		[ -x "$bin/initdb" ] && newest=$bin
	done
	[ -n "$newest" ] || die "PostgreSQL's programs are missing: install" \
		"postgresql"
	echo "$newest"
}

# The server refuses to run as root.
postgres_run() {
	local program
	program=$(postgres_bin)/$1
	shift
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups \
			"$program" "$@"
	else
		"$program" "$@"
	fi
}

postgres_configure() {
	cat >>"$1/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$1'
		unix_socket_permissions = 0777
		max_connections = 300
		shared_buffers = 64MB
		fsync = on
		synchronous_commit = on
		log_min_messages = warning
	END
}

postgres_make() {
	postgres_run initdb --no-sync --no-locale -E UTF8 -A trust \
		-U cronium -D "$1/data"
	postgres_configure "$1"
}

# postgres_start DIR: which has to be short, for the socket's path.
postgres_start() {
	local dir=$1
	install -d -m 0755 "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	(
		cd "$dir"
		[ -d "$dir/data" ] || postgres_make "$dir"
		postgres_run pg_ctl start -w -D "$dir/data" -l "$dir/log"
	) >"$dir/start" 2>&1 || {
		cat "$dir/start" "$dir/log" >&2
		return 1
	}
	echo "postgresql://cronium@/postgres?host=$dir"
}

postgres_crash() {
	(cd "$1" && postgres_run pg_ctl stop -m immediate -D "$1/data") \
		>/dev/null 2>&1
}

postgres_stop() {
	[ -d "$1/data" ] || return 0
	postgres_crash "$1" || true
	rm -rf "$1"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	# shellcheck source=/dev/null
	. "$(dirname "$0")/lib.sh"
	[ $# = 2 ] || die "usage: tools/postgres.sh start|crash|stop DIR"
	case $1 in
	start | crash | stop) "postgres_$1" "$2" ;;
	*) die "usage: tools/postgres.sh start|crash|stop DIR" ;;
	esac
fi
