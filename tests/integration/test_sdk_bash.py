"""What the Bash SDK owes to a script with its own habits."""

import json
import os
import shutil
import stat

import pytest
import sdk_drivers as sdk
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401

pytestmark = pytest.mark.timeout(60)

OUTPUT_BYTES = 10 * 1024 * 1024
STRICT = "set -euo pipefail; source cronium.sh; "


def bash(tmp_path, sidecar, script, *args, **env):
    return sdk.evaluate(tmp_path, "bash", script,
                        sdk.environment_of(sidecar, **env), "bash", *args)


def output_of(backend, claim):
    return backend.admin.get(f"/v1/jobs/{claim.job}/output")


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_ten_megabytes(tmp_path, backend, claim, sidecar, locale):
    """Through a pipe and as an argument, without a file of ours."""
    text = json.dumps(["ä€😀\n" * 100] * 9000, ensure_ascii=False)
    assert 9_000_000 < len(text.encode()) <= OUTPUT_BYTES
    file = tmp_path / "value.json"
    for write in ('cronium_output - <"$1"', 'cronium_output "$(<"$1")"'):
        file.write_text(text + "\n", encoding="utf-8")
        done = bash(tmp_path, sidecar, STRICT + write, file,
                    TMPDIR="/nonexistent", LC_ALL=locale)
        assert done.returncode == 0, done.stderr
        assert output_of(backend, claim).body.decode() == text
        text = text.replace("9", "8")


def test_more_than_ten_megabytes(tmp_path, sidecar):
    file = tmp_path / "value.json"
    file.write_text(json.dumps("x" * OUTPUT_BYTES))
    done = bash(tmp_path, sidecar, STRICT + 'cronium_output - <"$1"', file)
    assert (done.returncode, done.stdout) == (16, "")
    assert "[too_large]" in done.stderr


def test_exact_integers(tmp_path, sidecar):
    done = bash(tmp_path, sidecar, STRICT + """
        cronium_set_variable n 9007199254740993
        cronium_increment_variable n 2
        cronium_get_variable n
    """)
    assert done.stdout == "9007199254740995\n" * 2, done.stderr


def test_a_script_with_its_own_settings(tmp_path, sidecar):
    """They neither disturb the SDK nor are they changed by it."""
    done = bash(tmp_path, sidecar, """
        set -Eeuo pipefail -f; IFS=$'\\n\\t0123456789'; source cronium.sh
        shopt -s nocasematch failglob extglob
        trap 'echo "trapped $BASH_COMMAND" >&2' ERR
        before=$(set +o; shopt -p; declare -p IFS)
        cronium_set_variable 'a/b:1' '"one two"'
        cronium_get_variable 'a/b:1'
        cronium_get_variable absent 12
        cronium_list_variables
        cronium_increment_variable n 42
        cronium_delete_variable absent || echo "deleted $?"
        [ "$before" = "$(set +o; shopt -p; declare -p IFS)" ] && echo same
    """)
    assert done.stdout == '"one two"\n12\na/b:1\n42\ndeleted 14\nsame\n', (
        done.stderr)
    assert "trapped" not in done.stderr


def test_errexit_ends_a_script_that_does_not_look(tmp_path, sidecar):
    done = bash(tmp_path, sidecar,
                STRICT + "value=$(cronium_get_variable absent); echo never")
    assert (done.returncode, done.stdout) == (14, "")
    assert done.stderr.startswith("cronium: ")
    assert done.stderr.endswith(" [variable_not_found]\n")


def curl_that_tells(directory):
    """A curl before the real one, which writes its arguments down."""
    directory.mkdir()
    fake = directory / "curl"
    fake.write_text(
        '#!/bin/bash\nprintf "%s\\n" "$@" >>"$ARGUMENTS"\n'
        f'exec {shutil.which("curl")} "$@"\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    return directory


def test_token_and_values_show_nowhere(tmp_path, sidecar):
    """Neither in curl's arguments nor, for the token, in a trace."""
    arguments = tmp_path / "arguments"
    place = curl_that_tells(tmp_path / "bin")
    done = bash(
        tmp_path, sidecar, """
        PATH="$1:$PATH"; source cronium.sh; set -x
        cronium_set_variable k '"a value"'
        cronium_get_variable k
        cronium_get_variable absent || true
        """, place, ARGUMENTS=str(arguments))
    assert '"a value"\n' in done.stdout, done.stderr
    assert "+ cronium_set_variable" in done.stderr
    assert sidecar.token not in done.stderr
    assert sidecar.token not in arguments.read_text()
    assert "a value" not in arguments.read_text()


def test_proxies_and_curlrc_are_not_asked(tmp_path, sidecar):
    (tmp_path / ".curlrc").write_text("--fail\n--header \"X: y\"\n--head\n")
    done = bash(tmp_path, sidecar, STRICT + "cronium_input",
                http_proxy="http://127.0.0.1:1", HOME=str(tmp_path),
                ALL_PROXY="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (0, "null\n"), done.stderr


def test_a_version_is_a_word(tmp_path, sidecar):
    done = bash(tmp_path, sidecar,
                STRICT + "cronium_set_variable k 1 $'1\\r\\nX: y'")
    assert done.returncode == 17
    assert "cronium_variable_version" in done.stderr


def test_no_files_are_left(tmp_path, sidecar):
    place = tmp_path / "tmp"
    place.mkdir()
    done = bash(tmp_path, sidecar, STRICT + """
        cronium_set_variable k "\\"$(head -c 100000 /dev/zero | tr '\\0' x)\\""
        cronium_get_variable k | wc -c
        """, TMPDIR=str(place))
    assert done.stdout.strip() == "100003", done.stderr
    assert os.listdir(place) == []
