# shellcheck shell=bash disable=SC2034
# Every Debian package the project needs, in one place, by what it is for.
# "a|b" takes the first name that this release has (Debian 12 and 13 and
# Ubuntu 24.04 differ in a few); a last "?" stands for none of them.

PACKAGES_BUILD=(
	gcc libc6-dev meson ninja-build pkg-config git ca-certificates
	libevent-dev libnghttp2-dev libssl-dev libjansson-dev
	libcurl4-openssl-dev libsqlite3-dev libpq-dev libseccomp-dev libarchive-dev
	libssh2-1-dev libyajl-dev libyaml-dev libpcre2-dev uthash-dev libcmocka-dev
	nettle-dev libgmp-dev zlib1g-dev libisal-dev
	"libllhttp-dev|node-llhttp|?"
)

PACKAGES_RUN=(
	bubblewrap curl jq python3 nodejs procps iproute2
)

PACKAGES_TEST=(
	python3-pytest python3-pytest-timeout python3-pytest-xdist
	python3-h2 python3-cryptography python3-yaml python3-requests
	python3-httpx python3-jwt python3-jsonschema python3-aiosmtpd
	nghttp2-client patch openssh-client openssh-server postgresql
	faketime sqlite3
	mypy python3-pip python3-setuptools python3-venv python3-wheel
)

# ./dev runner: the compiler for arm64 here, its libraries in a sysroot.
PACKAGES_ARM64=(
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
)

PACKAGES_ARM64_SYSROOT=(
	libevent-dev libjansson-dev libarchive-dev zlib1g-dev nettle-dev
	libgmp-dev libyaml-dev libyajl-dev libssl-dev uthash-dev
)

PACKAGES_LINT=(
	clang-format clang-tidy shellcheck
)

PACKAGES_BENCH=(
	nginx-light haproxy nghttp2-proxy nghttp2-client wrk redis-server
	openssh-client openssh-server postgresql
)

PACKAGES_ENGINE=(
	docker.io "docker-cli|?" iptables debootstrap debian-archive-keyring
)

PACKAGES_COMPOSE=(
	"docker-compose-v2|docker-compose"
)

package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
		installed ]
}

package_available() {
	apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# Prints the first name of an "a|b|?" entry that this release offers.
package_choose() {
	local name names
	IFS='|' read -ra names <<<"$1"
	for name in "${names[@]}"; do
		[ "$name" = '?' ] && return
		package_available "$name" && echo "$name" && return
	done
	return 1
}

packages_choose() {
	local entry
	for entry in "$@"; do
		package_choose "$entry" || return 1
	done
}

# Prints the entries of which no alternative is installed.
packages_missing() {
	local entry name names
	for entry in "$@"; do
		IFS='|' read -ra names <<<"$entry"
		for name in "${names[@]}"; do
			package_installed "$name" && continue 2
		done
		echo "$entry"
	done
}

# apt is silent unless it fails.
packages_apt() {
	local log
	log=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" \
		</dev/null 2>&1) && return
	printf '%s\n' "$log" >&2
	return 1
}

packages_try_install() {
	local chosen names
	chosen=$(packages_choose "$@") || return 1
	[ -n "$chosen" ] || return 0
	mapfile -t names <<<"$chosen"
	say "installing ${names[*]}"
	packages_apt install -y --no-install-recommends "${names[@]}"
}

# Installs what is missing. The package index is fetched only when the one at
# hand is empty or too old to serve.
packages_install() {
	local missing
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	have apt-get || die "install these with your package manager:" \
		"${missing[*]}"
	packages_try_install "${missing[@]}" && return
	packages_apt update
	packages_try_install "${missing[@]}" ||
		die "cannot install ${missing[*]}: see the lines above"
}
