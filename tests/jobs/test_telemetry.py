"""What a job has cost and how its machine was, wherever it ran."""

import json
import os

import pytest

from harness import FREE, Server, docker_answers
from places import PLACES

WANTED = os.environ.get("CRONIUM_TEST_EXECUTORS",
                        "sandbox docker ssh-tunnel").split()
MIB = 1 << 20
HOG = """
import cronium, os, subprocess, time
block = bytearray(200 << 20)
block[::4096] = b"x" * len(block[::4096])
with open("block", "wb") as file:
    file.write(b"x" * (50 << 20))
    os.fsync(file.fileno())
while time.process_time() < 0.3:
    pass
cronium.output(subprocess.run(["stat", "-f", "-c", "%T", "."],
                              capture_output=True, text=True).stdout.strip())
"""


@pytest.fixture(scope="module", params=WANTED)
def hog(request, tmp_path_factory):
    """(server, the job's id, the file system of its work dir)"""
    if request.param == "docker" and not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")
    base = tmp_path_factory.mktemp(request.param)
    script = base / "hog.py"
    script.write_text(HOG)
    with PLACES[request.param](base) as place:
        server = Server(base / "server", *place.up_options)
        place.prepare(server)
        disk = server.cronium("run", *place.job_options, *FREE,
                              script).ok().json
        job, = server.cronium("jobs", "--json").ok().json["jobs"]
        yield server, job["id"], disk
        assert server.stop() == 0, server.log.read_text()


def test_usage(hog):
    server, job, disk = hog
    usage = server.job(job)["usage"]
    assert 300000 <= usage["user_us"] + usage["system_us"] < 60e6
    assert usage["max_rss_kb"] * 1024 >= 200 * MIB
    in_memory = disk in ("tmpfs", "ramfs")
    least = 250 if in_memory else 200
    assert least * MIB <= usage["peak_memory_bytes"] < 600 * MIB
    assert usage["read_bytes"] >= 0
    if in_memory:
        assert usage["write_bytes"] < 50 * MIB
    else:
        assert 50 * MIB <= usage["write_bytes"] < 100 * MIB


def test_telemetry(hog):
    server, job, _ = hog
    found = server.job(job)
    before, after = found["telemetry"]["before"], found["telemetry"]["after"]
    for snapshot in before, after:
        assert snapshot["cores"] == os.cpu_count()
        assert 0 < snapshot["memory"]["percent"] < 100
        assert snapshot["disk"]["path"] == str(server.data_dir)
    assert found["created_ms"] - 2000 < before["at_ms"] <= after["at_ms"]
    # Over the time of the script, in which it was busy itself.
    assert after["interval_ms"] >= 300
    assert after["cpu_percent"] > 0


def test_log(hog):
    server, job, _ = hog
    found = server.job(job)
    records = server.cronium("wal", "show", "--data-dir", server.data_dir,
                             "--job", job, "--json", "--type", "started",
                             "--type", "completed").ok().out
    started, completed = map(json.loads, records.splitlines())
    assert started["data"]["before"] == found["telemetry"]["before"]
    assert completed["data"] == {"usage": found["usage"],
                                 "telemetry": found["telemetry"]}


def test_words(hog):
    server, job, _ = hog
    shown = server.cronium("job", job).ok().out.splitlines()
    assert "s user, " in next(n for n in shown if n.startswith("CPU  "))
    assert any(n.startswith("memory") and n.endswith("MiB at most")
               for n in shown)
    assert any(n.startswith("disk") and n.endswith("written") for n in shown)
    table = shown[next(i for i, n in enumerate(shown)
                       if n.startswith("MACHINE")):]
    assert table[0].split() == ["MACHINE", "BEFORE", "AFTER"]
    assert [n.split()[0] for n in table[1:8]] == [
        "CPU", "load", "memory", "disk", "waiting", "processes", "busiest"]
    assert f"of {os.cpu_count()} cores, over" in table[1]


def test_lists_have_the_usage_alone(hog):
    server, job, _ = hog
    listed, = server.cronium("jobs", "--json").ok().json["jobs"]
    assert listed["usage"] == server.job(job)["usage"]
    assert "telemetry" not in listed
