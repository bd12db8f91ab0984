# shellcheck shell=bash
# ./dev images: cronium/NAME from docker/.

IMAGES=(sidecar cronium python node bash bun postgres)

# Prints the Dockerfile of an image; two come from one file, because they
# share the stage that compiles.
image_dockerfile() {
	case $1 in
	cronium | sidecar) echo docker/cronium.Dockerfile ;;
	*) echo "docker/$1.Dockerfile" ;;
	esac
}

# What a machine behind a proxy needs: its address, and the certificates that
# the machine's administrator has added.
image_build_args() {
	local name
	for name in http_proxy https_proxy no_proxy ca_certificates; do
		[ -z "${!name:-}" ] || printf '%s\n' --build-arg "$name"
	done
}

# The engine is silent unless it fails.
image_build() {
	local name=$1 args log ca_certificates
	ca_certificates=$(cat /usr/local/share/ca-certificates/*.crt \
		2>/dev/null || true)
	export ca_certificates
	mapfile -t args < <(image_build_args)
	say "building image cronium/$name"
	log=$(docker build "${args[@]}" --target "$name" -t "cronium/$name" \
		-f "$(image_dockerfile "$name")" . 2>&1) && return
	printf '%s\n' "$log" | tail -n 50 >&2
	die "cannot build cronium/$name"
}

images_build() {
	local name
	for name in "$@"; do
		image_build "$name"
	done
}

cmd_images() {
	engine_ensure
	images_build "${@:-${IMAGES[@]}}"
}
