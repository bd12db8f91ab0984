#!/usr/bin/env bash
# The server of cronium/postgres: makes the database at its first start, with
# the user and the database "cronium" and the password of $CRONIUM_DB_PASSWORD.
set -euo pipefail

data=/var/lib/cronium-postgres/data
bin=/usr/lib/postgresql/15/bin

make_database() {
	local new=$data.new
	rm -rf "$new"
	"$bin/initdb" -E UTF8 --no-locale -U cronium -A scram-sha-256 \
		--pwfile <(printf '%s\n' "$CRONIUM_DB_PASSWORD") -D "$new"
	echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
	echo 'CREATE DATABASE cronium;' |
		"$bin/postgres" --single -D "$new" postgres >/dev/null
	# Whole, or not at all.
	mv "$new" "$data"
}

if [ ! -d "$data" ]; then
	: "${CRONIUM_DB_PASSWORD:?is needed for the first start}"
	make_database
fi
unset CRONIUM_DB_PASSWORD
exec "$bin/postgres" -D "$data" -c listen_addresses='*' \
	-c unix_socket_directories=/tmp
