# shellcheck shell=bash
# ./dev engine: a Docker engine that answers, and the base image in it.

ENGINE_SOCKET=/var/run/docker.sock
ENGINE_LOG=/var/log/cronium-dockerd.log
ENGINE_PID=/var/run/cronium-dockerd.pid
ENGINE_START_SECONDS=60
BASE_IMAGE=debian:bookworm-slim
PULL_SECONDS=180
BASE_SUITE=bookworm
# Security updates come along where this machine is of the same release.
BASE_SOURCES=/etc/apt/sources.list.d/debian.sources

engine_answers() {
	have docker && docker version >/dev/null 2>&1
}

engine_answers_root() {
	have docker && as_root docker version >/dev/null 2>&1
}

engine_with_systemd() {
	[ -d /run/systemd/system ] && as_root systemctl start docker
}

# Without an init system: dockerd by hand, detached from this terminal.
engine_by_hand() {
	local pid
	pid=$(cat "$ENGINE_PID" 2>/dev/null || true)
	[ "$(cat "/proc/${pid:-0}/comm" 2>/dev/null)" = dockerd ] ||
		as_root rm -f "$ENGINE_PID"
	say "starting dockerd (log: $ENGINE_LOG)"
	as_root sh -c "setsid dockerd --pidfile $ENGINE_PID \
		</dev/null >>$ENGINE_LOG 2>&1 &"
}

engine_start() {
	[ -z "${DOCKER_HOST:-}" ] ||
		die "no engine answers at DOCKER_HOST=$DOCKER_HOST"
	packages_install "${PACKAGES_ENGINE[@]}"
	engine_answers_root && return
	engine_with_systemd || engine_by_hand
	wait_for "$ENGINE_START_SECONDS" engine_answers_root ||
		die "dockerd does not answer on $ENGINE_SOCKET after" \
			"${ENGINE_START_SECONDS}s: see $ENGINE_LOG"
}

engine_check_user() {
	engine_answers || die "the engine runs, but $(id -un) may not use it:" \
		"'sudo usermod -aG docker $(id -un)' and log in again"
}

# dpkg and apt settings that keep later installs in the image as slim as the
# image itself.
base_image_configure() {
	local root=$1
	as_root tee "$root/etc/dpkg/dpkg.cfg.d/slim" >/dev/null <<-'END'
		path-exclude /usr/share/doc/*
		path-exclude /usr/share/info/*
		path-exclude /usr/share/locale/*
		path-exclude /usr/share/man/*
		path-include /usr/share/doc/*/copyright
	END
	as_root tee "$root/etc/apt/apt.conf.d/slim" >/dev/null <<-'END'
		Acquire::Languages "none";
		Acquire::GzipIndexes "true";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
		DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
	END
	if grep -qs "$BASE_SUITE-security" "$BASE_SOURCES"; then
		as_root cp "$BASE_SOURCES" "$root/etc/apt/sources.list.d/"
		as_root rm "$root/etc/apt/sources.list"
	fi
}

base_image_pack() {
	as_root tar -C "$1" --one-file-system -c \
		--exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
		--exclude='./usr/share/info/*' --exclude='./usr/share/man/*' \
		--exclude='./usr/share/locale/*' --exclude='./var/log/*' \
		--exclude='./var/cache/apt/*' --exclude='./usr/share/doc/*' \
		--exclude='./var/lib/apt/lists/*' .
}

base_image_make() {
	local dir
	dir=$(mktemp -d)
	packages_install "${PACKAGES_ENGINE[@]}"
	say "making $BASE_IMAGE with debootstrap"
	as_root debootstrap --variant=minbase "$BASE_SUITE" "$dir/root" \
		>"$dir/log" 2>&1 || {
		tail "$dir/log" >&2
		die "debootstrap failed; its files are in $dir"
	}
	base_image_configure "$dir/root"
	base_image_pack "$dir/root" |
		docker import -c 'CMD ["bash"]' - "$BASE_IMAGE" >/dev/null
	as_root rm -rf "$dir"
}

base_image_ensure() {
	docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 && return
	say "pulling $BASE_IMAGE"
	timeout "$PULL_SECONDS" docker pull -q "$BASE_IMAGE" >/dev/null 2>&1 || base_image_make
}

engine_ensure() {
	engine_answers || engine_start
	engine_check_user
	base_image_ensure
}

cmd_engine() {
	engine_ensure
	say "engine $(docker version -f '{{.Server.Version}}') answers," \
		"$BASE_IMAGE is there"
}
