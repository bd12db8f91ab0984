"""Logs are complete, in order and byte for byte."""

import hashlib
import json

import pytest

from harness import FREE


def test_last_line_without_newline(run):
    assert run("print('a'); print('end', end='')").ok().err.endswith("a\nend")


def test_very_long_line(run):
    result = run("print('x' * 3_000_000)").ok()
    assert result.err.count("x") == 3_000_000


def test_bytes_and_utf8_are_intact(run):
    result = run(
        "import os\n"
        "data = bytes(range(256)) * 1000 + '€😀ä'.encode() * 20000\n"
        "while data:\n"
        "    n = os.write(2, data[:1013]); data = data[n:]\n",
        binary=True,
    )
    expect = bytes(range(256)) * 1000 + "€😀ä".encode() * 20000
    assert result.code == 0
    assert result.err == expect


def test_order_between_streams(run):
    result = run(
        "import os\n"
        "for i in range(2000):\n"
        "    os.write(1 + i % 2, b'%d\\n' % i)\n"
    ).ok()
    # Each stream keeps its own order; nothing is lost between them.
    lines = [int(n) for n in result.err.split()]
    assert sorted(lines) == list(range(2000))
    for parity in (0, 1):
        own = [n for n in lines if n % 2 == parity]
        assert own == sorted(own)


def test_stored_log_equals_the_followed_one(server, executor, tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "for i in range(50000):\n    print('line', i, 'x' * (i % 97))\n"
    )
    job = server.cronium(
        "submit", *FREE, "--executor", executor, script, "--json"
    ).ok().json["id"]
    followed = server.cronium("logs", "-f", job).ok().out
    stored = server.cronium("logs", job).ok().out
    expect = "".join(f"line {i} {'x' * (i % 97)}\n" for i in range(50000))
    assert hashlib.sha256(followed.encode()).digest() == \
        hashlib.sha256(expect.encode()).digest()
    assert stored == expect


def test_log_over_the_limit_is_cut_with_a_word(server, executor, tmp_path):
    """1 GB of logs: the job ends well, the log says what it left out."""
    script = tmp_path / "s.py"
    script.write_text(
        "import os\n"
        "block = (b'y' * 1023 + b'\\n') * 1024\n"
        "for _ in range(1024):\n"
        "    os.write(1, block)\n"
    )
    job = server.cronium(
        "submit", *FREE, "--executor", executor, script, "--json"
    ).ok().json["id"]
    found = server.wait_state(
        job, "succeeded", "failed", "lost", "timed_out", "cancelled"
    )
    assert found["state"] == "succeeded", found
    assert found["log_bytes"] + found["log_dropped_bytes"] >= 1 << 30
    assert found["log_bytes"] <= 11 << 20
    assert "not kept" in server.cronium("logs", job).ok().err


def test_run_says_that_the_log_was_cut(run):
    result = run(
        "import os\n"
        "for _ in range(12):\n"
        "    os.write(1, (b'z' * 1023 + b'\\n') * 1024)\n"
    ).ok()
    assert "not kept" in result.err[-500:]


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_json_keeps_characters_whole(server, executor, tmp_path, follow):
    script = tmp_path / "s.py"
    script.write_text(
        "import os\n"
        "data = 'ä€😀'.encode() * 20000\n"
        "while data:\n"
        "    os.write(1, data[:1013]); data = data[1013:]\n"
    )
    job = server.cronium(
        "submit", *FREE, "--executor", executor, script, "--json"
    ).ok().json["id"]
    server.wait_state(job, "succeeded", "failed")
    lines = server.cronium("logs", job, "--json", *follow).ok().out
    pieces = [json.loads(line) for line in lines.splitlines()]
    assert {p["stream"] for p in pieces} == {"stdout"}
    assert "".join(p["text"] for p in pieces) == "ä€😀" * 20000
