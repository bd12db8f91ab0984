# shellcheck shell=bash
# ./dev faults: random kills under load, and what the oracle says; --inject: each
# call of the unit tests that can fail does so once.

faults_inject() {
	build_sanitized
	"$(system_python)" tests/faults/inject.py "$@"
}

cmd_faults() {
	case " $* " in
	*" --help "* | *" -h "*)
		"$(system_python)" tests/faults/run.py "$@"
		return
		;;
	esac
	cmd_setup
	if [ "${1:-}" = --inject ]; then
		shift
		faults_inject "$@"
		return
	fi
	case " $* " in
	*docker* | *engine*)
		engine_ensure
		build_plain
		images_build "${IMAGES[@]}"
		;;
	esac
	say "building in build-faults/, with fail points"
	build_dir build-faults --buildtype=debugoptimized -Dfail_points=true
	CRONIUM_BIN_DIR=$ROOT/build-faults/bin \
		"$(system_python)" tests/faults/run.py "$@"
}
