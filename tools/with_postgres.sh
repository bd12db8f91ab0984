#!/usr/bin/env bash
# Runs a program with CRONIUM_TEST_STORE: with_postgres.sh PROGRAM ARG…
# On the server that CRONIUM_TEST_POSTGRES names, or on one of its own.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
. "$(dirname "$0")/postgres.sh"

if [ -z "${CRONIUM_TEST_POSTGRES:-}" ]; then
	dir=$(mktemp -d /tmp/cronium-postgres.XXXXXX)
	trap 'postgres_stop "$dir"' EXIT
	CRONIUM_TEST_POSTGRES=$(postgres_start "$dir")
fi
CRONIUM_TEST_STORE=$CRONIUM_TEST_POSTGRES "$@"
