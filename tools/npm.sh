# shellcheck shell=bash
# What no Debian package has, from npm: Bun, and TypeScript for the tests. It
# is kept outside of the source tree, a directory for each set of versions.

NPM_TYPESCRIPT=5.9.3
NPM_NODE_TYPES=18.19.130

# The version that is in the image, for the sandbox and the tests too.
npm_bun_version() {
	sed -n 's/^ARG BUN_VERSION=//p' "$ROOT/docker/bun.Dockerfile"
}

# Has bin/ and node_modules/ in it, once npm_ensure was called.
npm_dir() {
	printf '%s/cronium/npm/bun-%s-typescript-%s-%s\n' \
		"${XDG_CACHE_HOME:-$HOME/.cache}" "$(npm_bun_version)" \
		"$NPM_TYPESCRIPT" "$NPM_NODE_TYPES"
}

# As npm names them: Bun's package for this machine has the program in it.
npm_packages() {
	local machine
	machine=$(uname -m)
	printf '%s\n' "@oven/bun-linux-${machine/x86_64/x64}@$(npm_bun_version)" \
		"typescript@$NPM_TYPESCRIPT" "@types/node@$NPM_NODE_TYPES"
}

npm_install() {
	local dir=$1 packages log
	mapfile -t packages < <(npm_packages)
	say "installing ${packages[*]}"
	log=$(npm install --prefix "$dir" --no-save --no-package-lock \
		--ignore-scripts --no-audit --no-fund "${packages[@]}" 2>&1) || {
		printf '%s\n' "$log" >&2
		die "npm cannot install ${packages[*]}: see above"
	}
	chmod 755 "$dir"
	mkdir "$dir/bin"
	ln -s ../node_modules/typescript/bin/tsc "$dir/bin/tsc"
	ln -s "../node_modules/@oven/$(cd "$dir/node_modules/@oven" &&
		echo bun-*)/bin/bun" "$dir/bin/bun"
}

# At once where it is there; two at a time do no harm to each other.
npm_ensure() {
	local dir new
	dir=$(npm_dir)
	have npm || packages_install npm
	[ ! -x "$dir/bin/bun" ] || return 0
	mkdir -p "${dir%/*}"
	new=$(mktemp -d "${dir%/*}/new.XXXXXX")
	npm_install "$new"
	mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
}
