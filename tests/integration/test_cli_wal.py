"""`cronium wal`, on logs written here by the book (ARCHITECTURE.md) and on the
orchestrator's own."""

import json
import os
import signal
import subprocess
import time

import pytest

from cli_process import BIN, TIMEOUT
from wal_files import Wal, crc32c


class Log(Wal):
    def __init__(self, home):
        super().__init__(home.data)
        self.home = home

    def run(self, *args, **options):
        return self.home("wal", *args, **options)


@pytest.fixture
def log(home):
    log = Log(home)
    log.segment()
    for n in range(1, 4):
        log.add("claimed", f"job_{n}", f"ex_{n}", {"epoch": n})
    log.segment()
    log.add("started", "job_1", "ex_1", {"pid": 7})
    log.add("completed", "job_1", "ex_1", {"state": "succeeded"})
    return log


def seqs(result):
    return [json.loads(line)["seq"] for line in result.out.splitlines()]


def test_show_prints_a_line_for_each_record(log):
    result = log.run("show")
    assert result.code == 0
    lines = result.out.splitlines()
    assert len(lines) == 1 + 7
    assert lines[0].split() == ["TIME", "SEQ", "TYPE", "JOB", "EXECUTION",
                                "DATA"]
    assert lines[6].split()[2:] == ["6", "started", "job_1", "ex_1",
                                    '{"pid":7}']


def test_json_is_what_is_in_the_files(log):
    result = log.run("show", "--json")
    assert result.out == "".join(
        path.read_text() for path in sorted(log.dir.glob("*.wal")))


def test_records_are_chosen(log):
    assert seqs(log.run("show", "--json", "--job", "job_1")) == [2, 6, 7]
    assert seqs(log.run("show", "--json", "--execution", "ex_2")) == [3]
    assert seqs(log.run("show", "--json", "-t", "claimed", "-t", "started")
                ) == [2, 3, 4, 6]
    log.add("started", "job_9", "ex_9", at=time.time() - 7200)
    assert seqs(log.run("show", "--json", "--job", "job_9")) == [8]
    assert not seqs(log.run("show", "--json", "--job", "job_9", "--since",
                            "1h"))
    assert seqs(log.run("show", "--json", "--job", "job_9", "--since",
                        "3h")) == [8]


def place(path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        (path / "full").mkdir(parents=True)
    elif kind == "symbolic link":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as f:
            f.truncate(1 << 40)


@pytest.mark.parametrize("name, kind", [
    (f"{8:020}.wal", "pipe"), (f"{8:020}.wal", "directory"),
    (f"{8:020}.wal", "symbolic link"), (f"{8:020}.wal", "1099511627776 bytes"),
    ("9223372036854775807.wal".zfill(24), "no log has come to"),
    ("new", "directory"), ("lock", "pipe")])
def test_what_is_in_the_way_is_named(log, name, kind):
    place(log.dir / name, kind)
    result = log.run("verify")
    assert result.code == 1
    assert name in result.err and kind in result.err
    found = json.loads(log.run("verify", "--json").out)
    assert not found["whole"]
    assert [(d["file"], d["blocks"]) for d in found["damage"]] == [(name, True)]
    # What it can read is shown all the same.
    assert seqs(log.run("show", "--json")) == list(range(1, 8))
    start = subprocess.run(
        [BIN / "cronium-orchestrator", "--data-dir", log.home.data,
         "--run-dir", log.home.run_dir, "--executors", "sandbox"],
        capture_output=True, text=True, timeout=60)
    assert start.returncode == 1
    assert f"wal: {name}" in start.stderr and kind in start.stderr
    assert "move it out of that directory" in start.stderr


def test_other_names_are_left_alone(log):
    (log.dir / "notes\x1b[2J.txt").touch()
    result = log.run("verify")
    assert result.code == 0
    assert "notes?[2J.txt is no file of the log, and left alone" in result.err
    found = json.loads(log.run("verify", "--json").out)
    assert found["whole"] and not found["damage"][0]["blocks"]


def test_thousands_of_segments(log):
    """Each once: it took the square of their number."""
    for n in range(3000):
        log.segment()
    begun = time.monotonic()
    result = log.run("verify")
    assert result.code == 0 and "3002 segments" in result.out
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("verb", ["show", "tail", "verify"])
def test_unknown_types_are_refused(log, verb):
    result = log.run(verb, "--type", "started", "--type", "startd")
    assert result.code == 2
    assert "--type startd: there is no such type of record" in result.err
    assert "claimed, validated, pod_created, started, output" in result.err


def test_types_of_newer_versions_are_shown(log):
    log.add("of_the_future", "job_1", data={"x": 1})
    assert "of_the_future" in log.run("show").out
    assert log.run("verify").code == 0


def test_control_characters_do_not_reach_the_terminal(log):
    log.add("output", "job_1\x7f", "ex_1", {"text": "a\x1b[2J\x9b2J\x7f"})
    out = log.run("show").out
    assert not {"\x1b", "\x9b", "\x7f"} & set(out)


def test_long_data_is_cut_between_characters(log):
    log.add("output", "job_1", "ex_1", {"text": "x" + "ä" * 500})
    line = log.run("show").out.splitlines()[-1]
    assert line.endswith("ä…")
    assert len(line) < 300


def test_tail(log):
    assert seqs(log.run("tail", "--json", "-n", "2")) == [6, 7]
    assert seqs(log.run("tail", "--json")) == [1, 2, 3, 4, 5, 6, 7]
    assert seqs(log.run("tail", "--json", "-n", "2", "-t", "claimed")
                ) == [3, 4]
    assert not seqs(log.run("tail", "--json", "-n", "0"))
    result = log.run("tail", "-n", "1000001")
    assert result.code == 2 and "1000000 at most" in result.err


def test_tail_follows_across_segments(log):
    process = log.home.start("wal", "tail", "-f", "-n", "1", "--json")
    try:
        def read():
            return json.loads(process.stdout.readline())["seq"]

        assert read() == 7
        log.add("output", "job_1", "ex_1")
        assert read() == 8
        line = log.add("output", "job_1", "ex_1")
        assert read() == 9
        # Half a line is not shown until it is whole.
        whole = log.file.read_bytes()
        log.seq += 1
        log.file.write_bytes(whole + b'{"seq":10,')
        log.file.write_bytes(whole)
        log.seq -= 1
        log.segment()
        log.add("output", "job_1", "ex_1")
        assert read() == 10
        assert read() == 11
        assert line
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)


def test_verify_says_that_it_is_whole(log):
    result = log.run("verify")
    assert result.code == 0
    assert "2 segments" in result.out and "7 records, 1 to 7" in result.out
    assert result.out.endswith("whole\n")
    assert log.run("verify", "--json").json == {
        "whole": True, "segments": 2, "records": 7, "first": 1, "last": 7,
        "bytes": sum(p.stat().st_size for p in log.dir.iterdir()),
        "damages": 0, "damage": []}


def test_verify_finds_every_flipped_bit(log):
    first = log.dir / f"{1:020}.wal"
    whole = first.read_bytes()
    begin = whole.index(b'{"seq":3')
    end = whole.index(b'{"seq":4')
    for at in range(begin, end, 5):
        first.write_bytes(whole[:at] + bytes([whole[at] ^ 2])
                          + whole[at + 1:])
        result = log.run("verify", "--json")
        assert result.code == 1, at
        assert result.json["damage"] == [{
            "kind": "unreadable", "file": first.name, "offset": begin,
            "bytes": end - begin, "missing_first": 3, "missing_last": 3}]
        assert result.json["records"] == 6
    result = log.run("verify")
    assert result.code == 1
    assert f"{first.name}, offset {begin}, {end - begin} bytes: unreadable; " \
        "missing: record 3" in result.err
    assert "damaged: 1 place," in result.out


def test_verify_finds_a_missing_segment(log):
    log.segment()
    (log.dir / f"{5:020}.wal").unlink()
    result = log.run("verify", "--json")
    assert result.code == 1
    assert result.json["damage"] == [{
        "kind": "gap", "file": f"{8:020}.wal", "offset": 0, "bytes": 0,
        "missing_first": 5, "missing_last": 7}]


def test_torn_tail_is_damage_where_nobody_writes(log):
    size = log.file.stat().st_size
    with log.file.open("ab") as f:
        f.write(b'{"seq":8,"ti')
    result = log.run("verify", "--json")
    assert result.code == 1
    assert result.json["damage"][0]["kind"] == "torn"
    assert result.json["damage"][0]["offset"] == size
    lock = log.dir / "lock"
    lock.touch()
    writer = subprocess.Popen(
        ["flock", "--exclusive", lock, "sh", "-c", "echo; read x"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        writer.stdout.readline()
        assert log.run("verify").code == 0
    finally:
        writer.communicate(b"\n", timeout=TIMEOUT)
    assert log.run("verify").code == 1


def test_show_says_what_it_cannot_read(log):
    first = log.dir / f"{1:020}.wal"
    first.write_bytes(first.read_bytes().replace(b'"epoch":2', b'"epoch":9'))
    result = log.run("show")
    assert "unreadable; missing: record 3" in result.err
    assert len(result.out.splitlines()) == 1 + 6
    lines = log.run("show", "--json").out.splitlines()
    assert json.loads(lines[2])["damage"]["missing_first"] == 3


def test_a_record_of_another_form_is_said(log):
    """Its bytes are right, and still nobody can read it."""
    log.seq += 1
    body = (b'{"seq":%d,"time_ms":99999999999999999999,"type":"lost"' %
            log.seq)
    log.crc = crc32c(body)
    with log.file.open("ab") as f:
        f.write(body + b',"crc32c":"%08x"}\n' % log.crc)
    log.add("closed")
    found = log.run("verify")
    assert found.code == 1 and f"record {log.seq - 1}\n" in found.err
    assert "unreadable" in log.run("show").err
    lines = log.run("show", "--json", "--type", "closed").out.splitlines()
    assert json.loads(lines[0])["damage"]["missing_last"] == log.seq - 1
    assert json.loads(lines[1])["seq"] == log.seq


def test_where_there_is_no_log(home):
    for verb in "show", "verify", "tail":
        result = home("wal", verb)
        assert result.code == 2
        assert "there is no log in " in result.err
        assert "--data-dir" in result.err
    assert home("wal", "mend").code == 2


def test_another_directory(log, home):
    elsewhere = home.dir / "elsewhere"
    os.rename(log.home.data, elsewhere)
    assert log.run("verify", "--data-dir", str(elsewhere)).code == 0


def test_what_an_orchestrator_wrote(home):
    script = home.script("print('hello')")
    result = home.run(script)
    assert result.code == 0 and "hello\n" in result.err, result
    result = home("wal", "show", "--json")
    types = [json.loads(line)["type"] for line in result.out.splitlines()]
    assert types[:2] == ["segment", "opened"]
    wanted = ["claimed", "pod_created", "started", "output", "completed"]
    assert list(dict.fromkeys(t for t in types if t in wanted)) == wanted
    home.wait_server_gone()
    assert home("wal", "verify").out.endswith("whole\n")
    assert json.loads(home("wal", "tail", "--json", "-n", "1").out)[
        "type"] == "closed"
