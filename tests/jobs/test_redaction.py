"""A script that prints its secrets in every form shows none of them."""

import json
import re

import pytest

from harness import Server
from streaming import LANGUAGES, Jobs

SECRET = 'Zx9/k+Q~\u00fc"\u20ac w&<p>%\\t\n1\u00e9?(v)'
MASK = "********"
# What neither language nor alignment changes: in any leak is one of these.
PIECES = ["Zx9/k", "Zx9%2", "Zx9\\/", "w&<p>", "%3Cp%3E", "%3cp%3e"]

# Says LINES, pairs of a name and a text, to both streams, a byte at a time.
PYTHON = r"""
import base64, json, os, urllib.parse as u
import cronium

secret = cronium.get_variable(cronium.input())
raw = secret.encode()
lines = [("raw", raw), ("twice", raw + raw)]
for ahead in range(3):
    for behind in range(3):
        for code in (base64.b64encode, base64.urlsafe_b64encode):
            text = code(b"a" * ahead + raw + b"z" * behind)
            lines += [("base64", text), ("base64", text.rstrip(b"="))]
for quote in (u.quote, u.quote_plus):
    for safe in ("", "/"):
        lines.append(("percent", quote(secret, safe=safe).encode()))
lower = u.quote(secret, safe="")
for escape in {lower[i:i + 3] for i in range(len(lower)) if lower[i] == "%"}:
    lower = lower.replace(escape, escape.lower())
lines.append(("percent", lower.encode()))
lines.append(("percent", "".join(f"%{b:02X}" for b in raw).encode()))
lines.append(("repr", repr(secret)[1:-1].encode()))
for text in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
    lines += [("json", text[1:-1].encode()),
              ("json", text[1:-1].replace("/", "\\/").encode())]
near = [raw[:-1] + b"!", b"!" + raw[1:], raw[::-1], raw[:6], raw[:-1] + raw[:5]]
both = [b"".join(b"%s:%s.\n" % (name.encode(), text) for name, text in lines),
        b"".join(b"near:%s.\n" % text.hex().encode() for text in near)
        + b"".join(b"%s:%s.\n" % (name.encode(), text)
                   for name, text in reversed(lines))]
for i in range(max(map(len, both))):
    for fd, text in enumerate(both, 1):
        if i < len(text):
            os.write(fd, text[i:i + 1])
# Over the ends of frames and of pipes.
for k in range(0, 48, 3):
    os.write(1, b"." * (65536 - 5 - k) + raw + b"\n")
cronium.output({"lines": len(lines), "near": [t.hex() for t in near]})
"""
NODE = r"""
import { writeSync } from "node:fs";
import { inspect } from "node:util";
import { getInput, getVariable, setOutput } from "cronium";
const secret = await getVariable(await getInput());
const raw = Buffer.from(secret);
const lines = [["raw", secret], ["twice", secret + secret],
  ["percent", encodeURIComponent(secret)],
  ["percent", new URLSearchParams({ s: secret }).toString().slice(2)],
  ["json", JSON.stringify(secret).slice(1, -1)],
  ["inspect", inspect(secret).slice(1, -1)]];
for (let ahead = 0; ahead < 3; ahead++)
  for (const code of ["base64", "base64url"])
    lines.push(["base64", Buffer.concat([Buffer.alloc(ahead), raw])
      .toString(code)]);
for (const [name, text] of lines)
  for (const byte of Buffer.from(`${name}:${text}.\n`)) {
    writeSync(1, Buffer.from([byte]));
    writeSync(2, Buffer.from([byte]));
  }
await setOutput({ lines: lines.length, near: [] });
"""
BASH = r"""
set -euo pipefail
source cronium.sh
value=$(cronium_get_variable "$(cronium_input | jq -r .)")
secret=$(jq -r . <<<"$value")
say() {
    local LC_ALL=C line="$1:$2." i
    for ((i = 0; i < ${#line}; i++)); do
        printf %s "${line:i:1}"
        printf %s "${line:i:1}" >&2
    done
    echo
    echo >&2
}
say raw "$secret"
say twice "$secret$secret"
say json "${value:1:-1}"
for how in @base64 @uri; do
    form=$(jq -r "$how" <<<"$value")
    case $how in @uri) say percent "$form" ;; *) say base64 "$form" ;; esac
done
say json "$(jq -a . <<<"$value" | sed 's/^.//; s/.$//')"
jq -n '{lines: 6, near: []}' | cronium_output -
"""
SCRIPTS = {"python": PYTHON, "node": NODE, "bash": BASH}


@pytest.fixture
def jobs(server, executor, tmp_path):
    return Jobs(server, executor, tmp_path)


@pytest.fixture
def key(server):
    server.cronium("vars", "set", "SECRET", "-", "--secret",
                   stdin=SECRET).ok()
    return ["--input", '"SECRET"']


def assert_hidden(text):
    assert SECRET not in text
    for piece in PIECES:
        at = text.find(piece)
        assert at < 0, text[max(at - 200, 0):at + 200]


def logs_of(jobs, job):
    result = jobs.server.cronium("logs", job).ok()
    return result.out, result.err


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form(jobs, key, language):
    job = jobs.submit(language, SCRIPTS[language], *key)
    jobs.succeeded(job)
    told = jobs.server.cronium("job", job, "--output").ok().json
    out, err = logs_of(jobs, job)
    for text in (out, err):
        assert_hidden(text)
    err_near = err.splitlines()[:len(told["near"])]
    assert err_near == [f"near:{text}." for text in told["near"]]
    dots = [line for line in out.splitlines() if line.startswith(".")]
    for line in dots:
        assert re.fullmatch(r"\.{60000,}\*{8}", line), line[-40:]
    assert len(dots) == (16 if language == "python" else 0)
    for lines in (err.splitlines()[len(err_near):],
                  out.splitlines()[:len(out.splitlines()) - len(dots)]):
        assert len(lines) == told["lines"]
        for line in lines:
            # Of base64 the ends belong to what stands beside the secret.
            edge = r"[\w+/=-]{0,6}" if line.startswith("base64") else ""
            assert re.fullmatch(rf"\w+:{edge}\*{{8}}{edge}\.", line), line


NEAR = r"""
import os, cronium
raw = cronium.get_variable(cronium.input()).encode()
other = os.urandom(3).hex().encode()
text = b""
for n in range(1, len(raw)):
    text += raw[:n] + b"\0" + raw[-n:][1:] + b"\r\n" + raw[:n] * 2
for byte in text:
    os.write(1, bytes([byte]))
cronium.output(text.hex())
"""


def test_what_only_resembles_it_is_intact(jobs, key):
    """Byte for byte, though each byte may be the beginning of the secret."""
    job = jobs.submit("python", NEAR, *key)
    jobs.succeeded(job)
    text = bytes.fromhex(
        jobs.server.cronium("job", job, "--output").ok().json)
    log = jobs.server.cronium("logs", job, text=False).ok().out
    assert SECRET.encode() not in text
    assert log == text


FAILS = r"""
import sys, cronium
secret = cronium.get_variable(cronium.input())
for call in (
    lambda: cronium.get_variable(secret),
    lambda: cronium.set_variable("x", 1, secret),
    lambda: cronium.execute_tool_action(secret, secret),
    lambda: cronium.execute_tool_action("http", "request", {"url": secret}),
):
    try:
        call()
    except cronium.CroniumError as error:
        print(type(error).__name__, error, error.problem, flush=True)
raise RuntimeError(secret)
"""


def test_errors_and_tracebacks(jobs, key):
    result = jobs.run("python", FAILS, *key)
    assert result.code == 1
    assert_hidden(result.err)
    assert f"RuntimeError: {MASK}" in result.err
    assert result.err.count("Error") >= 5


SUBSCRIBES = {
    "python": "import cronium\n"
    "for c in cronium.subscribe(cronium.input()):\n"
    "    print('got', c.value, flush=True)\n"
    "    break\n",
    "node": "import { getInput, subscribe } from 'cronium';\n"
    "for await (const c of subscribe(await getInput())) {\n"
    "  console.log('got', c.value);\n  break;\n}\n",
    "bash": "source cronium.sh\necho got $(cronium_subscribe "
    "\"$(cronium_input | jq -r .)\" --count 1 | jq -c .value)\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_secret_that_is_watched(jobs, key, language):
    result = jobs.run(language, SUBSCRIBES[language], *key).ok()
    assert_hidden(result.err)
    assert re.search(rf"^got \"?\*{{8}}\"?$", result.err, re.M), result.err


def test_a_short_secret_is_told_of_once(jobs):
    for name in ("PIN", "PIN2"):
        jobs.server.cronium("vars", "set", name, "-", "--secret",
                            stdin="12345").ok()
    job = jobs.submit(
        "python", "import cronium\n"
        "print([cronium.get_variable(n) for n in ('PIN', 'PIN2')])")
    jobs.succeeded(job)
    out, err = logs_of(jobs, job)
    assert err.count("shorter than 6 characters") == 1
    assert out == "['12345', '12345']\n"


ARGUMENTS = r"""
source cronium.sh
while :; do cat /proc/[0-9]*/cmdline; done >seen 2>/dev/null &
key=$(cronium_input | jq -r .)
for i in {1..5}; do
    secret=$(cronium_get_variable "$key")
    cronium_set_condition "$secret" 2>/dev/null && exit 1
done
kill $!
wait
[ -s seen ] || exit 2
! LC_ALL=C grep -qaF 'k+Q~' seen
"""


@pytest.fixture
def own(executor, tmp_path):
    server = Server(tmp_path / "own", "--executors", executor,
                    "--log-level", "debug")
    yield Jobs(server, executor, tmp_path)
    server.stop()


def test_it_is_nowhere_else(own):
    """Neither in the server's logs, at any level, nor in its files, metrics
    and audit log, nor among the arguments of a process."""
    server = own.server
    server.cronium("vars", "set", "SECRET", "-", "--secret",
                   stdin=SECRET).ok()
    own.run("bash", ARGUMENTS, "--input", '"SECRET"').ok()
    own.run("python", PYTHON, "--input", '"SECRET"').ok()
    own.run("python", FAILS, "--input", '"SECRET"')
    assert_hidden(server.get("/metrics")[1])
    audit = server.cronium("audit", "--json", "-n", "200").ok().out
    assert "SECRET" in audit
    assert_hidden(audit)
    for path in (server.log, *server.data_dir.rglob("*")):
        if path.is_file():
            assert_hidden(path.read_bytes().decode("latin-1"))
            assert SECRET.encode() not in path.read_bytes()
            assert json.dumps(SECRET).encode() not in path.read_bytes()
