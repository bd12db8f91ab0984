# shellcheck shell=bash
# ./dev fmt, lint.

# The tracked and the new files with the given endings, not the ignored ones.
style_files() {
	git -C "$ROOT" ls-files -co --exclude-standard -- "$@" | sort -u |
		while read -r file; do
			[ ! -f "$file" ] || printf '%s\n' "$file"
		done
}

# Shell files without an ending are named here.
style_shell_files() {
	style_files '*.sh'
	printf '%s\n' dev .ci/run
}

# The C files that the build compiles, ours only.
style_compiled_files() {
	jq -r '.[].file' build/compile_commands.json | sort -u |
		sed -n 's|^\.\./||p' | grep -v '^subprojects/'
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
	style_shell_files | xargs -r shellcheck -x -P sdk/bash
}

lint_tidy() {
	style_compiled_files |
		xargs -r -n 1 -P "$(nproc)" clang-tidy -p build --quiet \
			2> >(grep -v ' warnings\? generated' >&2)
}

# Prints "folder: what it may include" for each row of ARCHITECTURE.md's table
# of components.
arrows_allowed() {
	sed -n '/^| folder | builds | may include |/,/^$/p' ARCHITECTURE.md |
		sed -nE 's/^\| .([a-z\/-]+)\/. \|[^|]*\|(.*)\|$/\1:\2/p' |
		tr -d '`,'
}

# Prints "folder: what it includes", one line for each include of ours. Tests
# and benchmarks may look anywhere.
arrows_used() {
	style_files '*.c' '*.h' | grep -vE '^(tests|bench)/' |
		xargs grep -HoE '^#include "[a-z/-]+/' |
		sed -E 's|/[^/]*:#include "|: |; s|/$||' | sort -u
}

# Includes follow the table, and only the table.
lint_arrows() {
	local folder used allowed failed=0
	while IFS=': ' read -r folder used; do
		[ "$folder" != "$used" ] || continue
		allowed=$(arrows_allowed | sed -n "s|^$folder:||p")
		case " $allowed " in
		*" ${used##*/} "*) ;;
		*)
			echo "$folder/ includes \"$used/\": ARCHITECTURE.md" \
				"allows it only:${allowed:- nothing}" >&2
			failed=1
			;;
		esac
	done < <(arrows_used)
	return "$failed"
}

# Every header compiles by itself.
lint_headers() {
	local flags header failed=0
	flags=$(pkg-config --cflags libevent_core jansson libnghttp2 libpq)
	for header in $(style_files '*.h'); do
		# shellcheck disable=SC2086 # a list of flags
		gcc -std=gnu11 -D_GNU_SOURCE -I. $flags -fsyntax-only \
			-include "$header" -x c /dev/null || failed=1
	done
	return "$failed"
}

LINT_FAILED=

lint_step() {
	say "lint: $1"
	shift
	"$@" || LINT_FAILED=1
}

cmd_lint() {
	setup_packages
	packages_install "${PACKAGES_LINT[@]}"
	build_plain
	lint_step "shellcheck" lint_shell
	lint_step "clang-format" cmd_fmt --check
	lint_step "include arrows" lint_arrows
	lint_step "headers stand alone" lint_headers
	lint_step "clang-tidy" lint_tidy
	[ -z "$LINT_FAILED" ] || die "lint failed: see above"
	say "lint: nothing to report"
}
