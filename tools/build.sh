# shellcheck shell=bash
# ./dev setup, build, demo, bench.

setup_packages() {
	packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_RUN[@]}" \
		"${PACKAGES_TEST[@]}"
}

cmd_setup() {
	setup_packages
	npm_ensure
}

# build_dir DIR OPTION...: configures when the options are not those of the
# last time, then compiles.
build_dir() {
	local dir=$1 log again=()
	shift
	[ ! -f "$dir/build.ninja" ] || again=(--reconfigure)
	if [ "$(cat "$dir/.options" 2>/dev/null)" != "$*" ]; then
		log=$(meson setup "${again[@]}" "$dir" "$@" 2>&1) ||
			die "cannot configure $dir: $log"
		echo "$*" >"$dir/.options"
	fi
	ninja -C "$dir" >&2
}

build_plain() {
	say "building in build/"
	build_dir build --buildtype=debugoptimized
	sdk_compile
}

# Sandboxes mount the SDK read-only: compiled now, or in each job (3 ms).
sdk_compile() {
	"$(system_python)" -m compileall -q sdk/python/cronium
}

build_sanitized() {
	say "building in build-asan/ with ASan and UBSan"
	build_dir build-asan --buildtype=debug -Doptimization=1 \
		-Db_sanitize=address,undefined -Dinject=true -Dfail_points=true
}

build_release() {
	say "building in build-release/"
	build_dir build-release --buildtype=release
}

cmd_build() {
	setup_packages
	build_plain
	say "the programs are in build/bin/; next: ./dev demo," \
		"or build/bin/cronium run SCRIPT"
}

# Docker where an engine answers, else the sandbox: the CLI's own default.
cmd_demo() {
	local executor=sandbox
	setup_packages
	build_plain
	if engine_answers; then
		executor=docker
		base_image_ensure
		images_build python
	fi
	say "build/bin/cronium run --executor $executor" \
		"examples/hello.py --input '{\"name\":\"Ada\"}'"
	build/bin/cronium run --executor "$executor" \
		examples/hello.py --input '{"name":"Ada"}'
}

cmd_bench() {
	setup_packages
	packages_install "${PACKAGES_BENCH[@]}"
	build_release
	[ "$(uname -m)" != x86_64 ] || runner_build
	! engine_answers || images_build bash
	CRONIUM_BIN_DIR=build-release/bin \
		"$(system_python)" bench/run.py "$@"
}
