# shellcheck shell=bash
# ./dev runner: the runner for hosts, for both architectures, on an amd64
# machine.

RUNNER_OPTIONS=(
	--buildtype=minsize -Ddebug=false -Db_ndebug=true -Db_lto=true
	-Drunner_only=true
)
RUNNER_SYSROOT=build/arm64/sysroot

# apt with lists and packages of its own, for arm64: nothing about this machine
# changes, and no root is needed. Its sources must have arm64, too: Debian's
# have, on Ubuntu "ports" has to be among them.
runner_apt() {
	local state=$ROOT/build/arm64/apt
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	: >"$state/status"
	apt-get -qq -o Dir::State="$state" -o Dir::State::lists="$state/lists" \
		-o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" -o APT::Sandbox::User= \
		-o Debug::NoLocking=1 -o APT::Architecture=arm64 \
		-o APT::Architectures::=arm64 "$@"
}

# The libraries' static archives and headers; made once, renamed when whole.
runner_sysroot_ensure() {
	local debs=$ROOT/build/arm64/debs deb log
	[ ! -d "$RUNNER_SYSROOT" ] || return 0
	say "fetching the libraries for arm64 into $RUNNER_SYSROOT"
	mkdir -p "$debs"
	log=$(runner_apt update 2>&1) ||
		die "cannot fetch the package lists for arm64: $log"
	log=$(cd "$debs" && runner_apt download \
		"${PACKAGES_ARM64_SYSROOT[@]}" 2>&1) ||
		die "cannot fetch the libraries for arm64: $log"
	rm -rf "$RUNNER_SYSROOT.part"
	for deb in "$debs"/*.deb; do
		dpkg -x "$deb" "$RUNNER_SYSROOT.part"
	done
	rm -rf "$debs" build/arm64/apt
	mv "$RUNNER_SYSROOT.part" "$RUNNER_SYSROOT"
}

runner_cross_file() {
	local sysroot=$ROOT/$RUNNER_SYSROOT
	cat <<-END
		[binaries]
		c = ['aarch64-linux-gnu-gcc', '--sysroot=$sysroot']
		ar = 'aarch64-linux-gnu-gcc-ar'
		strip = 'aarch64-linux-gnu-strip'
		pkgconfig = 'pkg-config'

		[properties]
		sys_root = '$sysroot'
		pkg_config_libdir = '$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig'

		[host_machine]
		system = 'linux'
		cpu_family = 'aarch64'
		cpu = 'aarch64'
		endian = 'little'
	END
}

# runner_build_one ARCHITECTURE STRIP MESON-OPTION...
runner_build_one() {
	local name=$1 strip=$2 dir=build/runner-$1 log
	shift 2
	if [ ! -f "$dir/build.ninja" ]; then
		log=$(meson setup "$dir" "${RUNNER_OPTIONS[@]}" "$@" 2>&1) ||
			die "cannot configure $dir: $log"
	fi
	ninja -C "$dir" runner/cronium-runner >&2
	mkdir -p build/bin
	[ "build/bin/cronium-runner-$name" -nt "$dir/runner/cronium-runner" ] ||
		"$strip" -o "build/bin/cronium-runner-$name" \
			"$dir/runner/cronium-runner"
}

runner_build() {
	[ "$(uname -m)" = x86_64 ] ||
		die "the runners for both architectures are built on amd64:" \
			"this is $(uname -m), where build/bin/cronium-runner" \
			"is the one for this machine"
	packages_install "${PACKAGES_ARM64[@]}"
	say "building build/bin/cronium-runner-amd64 and -arm64"
	runner_build_one amd64 strip
	runner_sysroot_ensure
	runner_cross_file >build/arm64/cross.ini.new
	cmp -s build/arm64/cross.ini.new build/arm64/cross.ini ||
		mv build/arm64/cross.ini.new build/arm64/cross.ini
	runner_build_one arm64 aarch64-linux-gnu-strip \
		--cross-file build/arm64/cross.ini
}

cmd_runner() {
	setup_packages
	runner_build
	say "$(cd build/bin && stat -c '%n: %s bytes' cronium-runner-amd64 \
		cronium-runner-arm64 | paste -sd' ')"
}
