"""What the Bash SDK owes to a script with its own habits."""

import json
import os
import shutil
import stat
import threading

import pytest
import sdk_drivers as sdk
from scripted_runtime import TOKEN, ScriptedRuntime
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401

pytestmark = pytest.mark.timeout(60)

OUTPUT_BYTES = 10 * 1024 * 1024
SOON_S = 20  # less than a watch may be silent
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


# --- streams, subscriptions, tool actions


def beside(tmp_path, answer, script, *args, **more):
    """The script beside a scripted runtime; and the requests."""
    with ScriptedRuntime(answer) as runtime:
        env = sdk.environment(runtime.url, TOKEN, **more)
        done = sdk.evaluate(tmp_path, "bash", script, env, "bash", *args)
    return done, runtime.requests


def test_records_stay_as_they_are(tmp_path):
    """Neither numbers nor spaces nor escapes are made anew."""
    lines = b'9007199254740993\n{ "a":1.50,  "b":"\\u00e4"}\n"\xc3\xa4"\n1e400\n'
    stored = bytearray()

    def answer(request):
        if request.path == "/input/stream":
            request.records_from(0)
            request.send(lines)
            request.end()
            return
        stored.extend(request.body)
        request.reply(200, {"next": bytes(stored).count(b"\n")})
    done, _ = beside(
        tmp_path, answer,
        STRICT + "cronium_stream_input | cronium_stream_output --end",
        LC_ALL="C")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert bytes(stored) == lines


def test_a_record_is_sent_at_once(tmp_path):
    """The next line is written when the one before is stored."""
    stored = []

    def answer(request):
        stored.extend(request.records)
        (tmp_path / f"stored{len(stored)}").touch()
        request.reply(200, {"next": len(stored)})
    done, _ = beside(tmp_path, answer, STRICT + """
        for n in 1 2 3; do
            echo "$n"
            until [ -e "$1/stored$n" ]; do read -rt 0.01 <> <(:) || :; done
        done | cronium_stream_output
        """, tmp_path)
    assert (done.returncode, stored) == (0, [1, 2, 3]), done.stderr


def test_a_last_line_without_its_end_is_sent(tmp_path):
    stored = []

    def answer(request):
        stored.extend(request.records)
        request.reply(200, {"next": len(stored)})
    done, _ = beside(tmp_path, answer,
                     STRICT + "printf '1\\n2' | cronium_stream_output")
    assert (done.returncode, stored) == (0, [1, 2]), done.stderr


def test_a_subscription_ends_behind_a_count(tmp_path):
    """At once, and its connection with it."""
    gone = threading.Event()

    def answer(request):
        request.events()
        request.event("snapshot", {"key": "k", "version": 7, "value": 1},
                      id=7)
        if not request._connection.recv(1):
            gone.set()
    done, _ = beside(tmp_path, answer, STRICT + """
        change=$(cronium_subscribe k --count 1)
        jq -c '[.type, .version, .value]' <<<"$change"
        """)
    assert done.stdout == '["snapshot",7,1]\n', done.stderr
    assert gone.wait(SOON_S)


def test_states_are_told_who_asks(tmp_path):
    def answer(request):
        request.events()
        if request.number == 0:
            request.event("snapshot", {"key": "k", "version": 1, "value": 1},
                          id=1)
            request.event("disconnected", {"reason": "away"})
            request.event("connected", {})
            request.cut()
        else:
            request.event("change", {"key": "k", "version": 2, "value": 2},
                          id=2)
    done, _ = beside(tmp_path, answer, STRICT + """
        cronium_subscribe k --include-state --count 2 | jq -r .type | xargs
        """)
    assert done.stdout == (
        "snapshot disconnected connected disconnected connected change\n"), (
        done.stderr)


@pytest.mark.parametrize("call", [
    "cronium_stream_input -1", "cronium_stream_input x",
    "cronium_stream_output --stop </dev/null", "cronium_subscribe",
    "cronium_subscribe k x", "cronium_subscribe k --count 0",
    "cronium_execute_tool_action slack",
    "cronium_execute_tool_action a b '{}' --idempotency-key 'a b'"])
def test_arguments_that_make_no_sense(tmp_path, call):
    done, requests = beside(tmp_path, lambda r: r.problem(500, "asked"),
                            "source cronium.sh; " + call)
    assert done.returncode == 17, done.stderr
    assert done.stderr.startswith("cronium: ") and requests == []


def test_token_and_values_of_streams_show_nowhere(tmp_path):
    arguments = tmp_path / "arguments"
    place = curl_that_tells(tmp_path / "bin")

    def answer(request):
        if request.path == "/input/stream":
            request.records_from(0)
            request.send(b'"a value"\n')
            request.end()
        elif request.path == "/output/stream":
            request.reply(200, {"next": 1})
        else:
            request.reply(200, "done")
    done, requests = beside(tmp_path, answer, """
        set -euo pipefail; PATH="$1:$PATH"; source cronium.sh; set -x
        cronium_stream_input | cronium_stream_output
        cronium_execute_tool_action t a '{"text": "a value"}'
        """, place, ARGUMENTS=str(arguments))
    assert done.returncode == 0, done.stderr
    assert len(requests) == 4
    assert TOKEN not in arguments.read_text()
    assert TOKEN not in done.stderr
    assert "a value" not in arguments.read_text()
