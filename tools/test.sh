# shellcheck shell=bash
# ./dev test: unit tests with meson, the rest with pytest.

TEST_FAILED=0
TEST_SANITIZE=
# A sanitizer's report ends the process and goes to a file: what a daemon
# writes to its standard error may be seen by nobody.
SANITIZER_REPORTS=$ROOT/build-asan/reports
SANITIZER_SETTINGS=log_path=$SANITIZER_REPORTS/report:exitcode=99
ASAN_SETTINGS=$SANITIZER_SETTINGS:detect_leaks=1
UBSAN_SETTINGS=$SANITIZER_SETTINGS:halt_on_error=1:print_stacktrace=1

# Runs a test runner; a failure is remembered, so that the next one still
# runs. What takes long should be seen: $SECONDS since ./dev began.
test_step() {
	say "$1 (after $SECONDS s)"
	shift
	"$@" || TEST_FAILED=1
}

# test_unit BUILD-DIR MESON-ARG...
test_unit() {
	local dir=$1
	shift
	meson test -C "$dir" --print-errorlogs "$@"
}

# The PostgreSQL server of this run: below /tmp, for its socket's path.
test_postgres_start() {
	TEST_POSTGRES=$(mktemp -d /tmp/cronium-postgres.XXXXXX)
	trap 'postgres_stop "$TEST_POSTGRES"' EXIT
	CRONIUM_TEST_POSTGRES=$(postgres_start "$TEST_POSTGRES") ||
		die "cannot start PostgreSQL for the tests: see above"
	export CRONIUM_TEST_POSTGRES
}

# test_pytest BUILD-DIR PYTEST-ARG...
test_pytest() {
	local dir=$1
	shift
	env CRONIUM_BIN_DIR="$ROOT/$dir/bin" CRONIUM_REQUIRE_DOCKER=1 \
		PYTHONDONTWRITEBYTECODE=1 PATH="$(npm_dir)/bin:$PATH" \
		"$(system_python)" -m pytest --no-header -ra "$@"
}

# All of test_backend*.py passes there; these are what differs most.
TEST_ON_POSTGRES=(
	tests/integration/test_backend_{queue,variables}.py
)

# Of meson's tests, when all of them run under the sanitizers, too.
TEST_UNIT_ONCE=()

# Of memory that is freed the sanitizers keep a part.
TEST_SOAK=tests/faults/test_faults.py::test_nothing_grows

# What the sanitized programs cannot show in a sandbox: a whole machine's load,
# and what static programs are held to.
TEST_JOBS_STATIC=(
	tests/jobs/test_{chaos,hostile,isolation,many,permissions}.py
)

test_jobs() {
	if [ -z "$TEST_SANITIZE" ]; then
		test_step "job tests" test_pytest build \
			-n 6 --dist loadfile tests/jobs
		return
	fi
	# Sandboxes come with the sanitizers; direct mode has test_ssh_direct.py,
	# and without --sanitize all of test_everywhere.py.
	CRONIUM_TEST_EXECUTORS="docker ssh-tunnel" \
		test_step "job tests" test_pytest build \
		-n 6 --dist loadfile tests/jobs
	CRONIUM_TEST_EXECUTORS=sandbox \
		test_step "job tests in static sandboxes" test_pytest build \
		-n 4 --dist loadfile "${TEST_JOBS_STATIC[@]}"
}

# Integration tests of what has its sanitizers: with --sanitize there alone.
TEST_SANITIZED_ALONE=(
	'backend*' 'cli.py' 'cli_[!d]*' 'gateway.py' 'gateway_[!v]*' 'http*'
	'orchestrator*' 'payload*' 'sidecar*' 'two_backends*'
)

# test_plain PYTEST-ARG...: of the integration tests. More workers than cores:
# most of a test's time is waiting.
test_plain() {
	test_step "unit tests" test_unit build "${TEST_UNIT_ONCE[@]}"
	test_step "integration tests" test_pytest build \
		-n 6 --dist loadfile tests/integration "$@"
	CRONIUM_TEST_STORE=$CRONIUM_TEST_POSTGRES \
		test_step "integration tests on PostgreSQL" test_pytest build \
		-n 6 --dist loadfile "${TEST_ON_POSTGRES[@]}"
	test_step "a short soak" test_pytest build "$TEST_SOAK"
	test_jobs
	test_step "compose tests" test_pytest build tests/docker
}

# What any process of the tests reported, whether or not a test noticed.
test_reports() {
	local report failed=0
	for report in "$SANITIZER_REPORTS"/*; do
		# What the leak check says of a process that is killed under
		# it is no finding.
		grep -qE 'ERROR: |runtime error: ' "$report" || continue
		cat "$report"
		failed=1
	done
	return "$failed"
}

test_sanitized() {
	rm -rf "$SANITIZER_REPORTS"
	install -d -m 1777 "$SANITIZER_REPORTS"
	export ASAN_OPTIONS=$ASAN_SETTINGS UBSAN_OPTIONS=$UBSAN_SETTINGS
	test_step "unit tests, sanitized" test_unit build-asan
	# Other places each time; a defect is printed with its command.
	test_step "a sample of calls that fail" "$(system_python)" \
		tests/faults/inject.py --seconds 20
	# The tests of the SDKs alone run nothing that is sanitized, or what
	# the vectors run as well.
	test_step "integration tests, sanitized" test_pytest build-asan \
		-n 6 --dist loadfile --ignore-glob='*/test_sdk*' \
		--ignore-glob='*/test_gateway_vectors*' \
		--ignore-glob='*/test_cli_dev_vectors*' tests/integration
	test_step "fault tests, sanitized" test_pytest build-asan \
		-n 2 tests/faults --deselect "$TEST_SOAK"
	CRONIUM_TEST_EXECUTORS=sandbox test_step "job tests, sanitized" \
		test_pytest build-asan -n 6 --dist loadfile \
		--ignore-glob='*/test_chaos*' --ignore-glob='*/test_many*' \
		tests/jobs
	unset ASAN_OPTIONS UBSAN_OPTIONS
	test_step "sanitizer reports" test_reports
}

cmd_test() {
	case ${1:-} in
	--sanitize) TEST_SANITIZE=1 ;;
	'') ;;
	*) die "test: unknown argument '$1' (it takes --sanitize)" ;;
	esac
	cmd_setup
	packages_install "${PACKAGES_COMPOSE[@]}"
	engine_ensure
	build_plain
	runner_build
	images_build "${IMAGES[@]}"
	test_postgres_start
	if [ -z "$TEST_SANITIZE" ]; then
		test_plain
	else
		TEST_UNIT_ONCE=(--no-suite postgres)
		# What needs neither an SDK nor a static program runs once,
		# under the sanitizers.
		test_plain "${TEST_SANITIZED_ALONE[@]/#/--ignore-glob=*/test_}"
		build_sanitized
		test_sanitized
	fi
	[ "$TEST_FAILED" = 0 ] || die "some tests failed: see above"
}
