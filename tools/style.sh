# shellcheck shell=bash
# ./dev fmt, lint.

# The tracked and the new files with the given endings, not the ignored ones.
style_files() {
	git -C "$ROOT" ls-files -co --exclude-standard -- "$@" | sort -u
}

# Shell files without an ending are named here.
style_shell_files() {
	style_files '*.sh'
	printf '%s\n' dev .ci/run
}

cmd_fmt() {
	local flags=(-i)
	case ${1:-} in
	--check) flags=(--dry-run --Werror) ;;
	'') ;;
	*) die "fmt: unknown argument '$1' (it takes --check)" ;;
	esac
	packages_install "${PACKAGES_LINT[@]}"
	style_files '*.c' '*.h' | xargs -r clang-format "${flags[@]}"
}

lint_shell() {
	say "shellcheck"
	style_shell_files | xargs -r shellcheck
}

lint_format() {
	say "clang-format"
	cmd_fmt --check
}

lint_tidy() {
	say "clang-tidy"
	style_files '*.c' | grep -v '^tests/fuzz/' |
		xargs -r -n 1 -P "$(nproc)" clang-tidy -p build --quiet
}

cmd_lint() {
	local failed=0
	packages_install "${PACKAGES_LINT[@]}"
	cmd_setup
	[ -f build/build.ninja ] || build_plain
	lint_shell || failed=1
	lint_format || failed=1
	lint_tidy || failed=1
	[ "$failed" = 0 ] || die "lint: see above"
	say "lint: nothing to report"
}
