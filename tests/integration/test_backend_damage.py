"""What lies under the backend breaks: it says so, and makes nothing worse."""

import os
import pathlib
import subprocess
import time

import pytest

from backend_process import ASAN, BACKEND, Backend

PAGE = 4096
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("sqlite")]


def submit(backend, n):
    return backend.admin.post("/v1/jobs", {
        "runtime": "bash", "name": f"j{n}", "input": "x" * 3000,
        "script": {"content": "true"}})


def fill(backend, n=150):
    for i in range(n):
        assert submit(backend, i).status == 201
        assert backend.admin.put(f"/v1/variables/v{i}",
                                 b'"' + b"y" * 3000 + b'"').status == 201


def damage(path, step):
    """Zeroes in every step-th page but the first of the file."""
    data = bytearray(path.read_bytes())
    for at in range(40 * PAGE, len(data), step * PAGE):
        data[at:at + PAGE] = bytes(PAGE)
    path.write_bytes(data)


def read_all(backend):
    return [backend.admin.get(f"/v1/variables/v{i}") for i in range(150)]


def test_a_damaged_page(tmp_path):
    backend = Backend(str(tmp_path))
    fill(backend)
    assert backend.stop() == 0
    database = next(tmp_path.glob("**/cronium.db"))
    damage(database, 3)
    backend.start()
    replies = read_all(backend)
    bad = [r for r in replies if r.status != 200]
    assert bad and {r.status for r in bad} == {503}
    assert "database is damaged" in bad[0].json["detail"]
    assert "docs/mending.md" in bad[0].json["detail"]
    # What can be read still is; nothing is written.
    assert any(r.status == 200 for r in replies)
    backend.stop()
    before = database.read_bytes()
    backend.start()
    assert any(r.status == 503 for r in read_all(backend))
    refused = submit(backend, 1)
    assert (refused.status, refused.code) == (503, "store_failed")
    ready = backend.admin.get("/readyz")
    assert (ready.status, ready.code) == (503, "store_failed")
    assert backend.admin.get("/healthz").status == 200
    backend.kill()
    assert database.read_bytes() == before


def test_what_can_be_read_is_recovered(tmp_path):
    """As docs/mending.md says."""
    backend = Backend(str(tmp_path))
    fill(backend)
    assert backend.stop() == 0
    database = next(tmp_path.glob("**/cronium.db"))
    version = sqlite(database, "PRAGMA user_version")
    damage(database, 40)
    recovered = database.with_name("new.db")
    saved = sqlite(database, ".dump")
    assert "ROLLBACK; -- due to errors" in saved
    sqlite(recovered, saved.replace("ROLLBACK; -- due to errors", "COMMIT;"))
    sqlite(recovered, "UPDATE job_counts SET n = (SELECT count(*) FROM jobs "
                      "WHERE jobs.state = job_counts.state)")
    sqlite(recovered, f"PRAGMA user_version = {version}")
    assert sqlite(recovered, "PRAGMA integrity_check") == "ok\n"
    for name in ("cronium.db-wal", "cronium.db-shm"):
        database.with_name(name).unlink(missing_ok=True)
    os.chmod(recovered, 0o600)
    recovered.replace(database)
    backend.start()
    found = [r.status for r in read_all(backend)]
    assert set(found) <= {200, 404} and found.count(200) > len(found) // 4
    assert submit(backend, 1).status == 201
    assert backend.stop() == 0


def test_somebody_else_looks(tmp_path):
    """Whoever closes the database last folds its log in and removes it: that
    must not be done to a backend that lives. Closing any other descriptor of
    the file would give up the locks that say so."""
    backend = Backend(str(tmp_path))
    fill(backend, 3)
    database = next(tmp_path.glob("**/cronium.db"))
    assert sqlite(database, "SELECT count(*) FROM jobs") == "3\n"
    assert database.with_name("cronium.db-wal").exists()
    job = submit(backend, 3).json["id"]
    backend.kill()
    backend.start()
    assert backend.admin.get(f"/v1/jobs/{job}").status == 200
    assert backend.stop() == 0


def sqlite(path, commands):
    """The shell's own commands begin with a dot, and stand alone."""
    how = ([path, commands] if commands.startswith(".") else [path])
    return subprocess.run(
        ["sqlite3", *how], text=True, capture_output=True, timeout=60,
        input=None if commands.startswith(".") else commands).stdout


def start_in_vain(backend):
    return subprocess.run(
        [BACKEND, "--data-dir", backend.data, "--run-dir", backend.run,
         "--listen", "none"], capture_output=True, text=True, timeout=60)


def warnings(backend):
    return [line for line in backend.log if "was missing" in line]


def test_a_lost_key_is_said(tmp_path):
    backend = Backend(str(tmp_path))
    assert not warnings(backend)
    data = pathlib.Path(backend.data)
    files = ["keys/signing.pem", "keys/payload.pem", "keys/master.key",
             "api-key"]

    def lose_all():
        assert backend.stop() == 0
        for name in files:
            (data / name).unlink()

    lose_all()  # while there is nothing that needs them
    backend.start()
    assert not warnings(backend)
    assert submit(backend, 1).status == submit(backend, 2).status == 201
    lose_all()
    backend.start()
    said = warnings(backend)
    assert [name in line for name, line in zip(files, said)] == [True] * 4
    assert "the 2 jobs that had not begun" in said[1]
    assert all("docs/mending.md" in line for line in said)
    assert backend.stop() == 0
    backend.log.clear()
    backend.start()
    assert not warnings(backend)
    assert backend.stop() == 0


def test_no_new_key_for_old_secrets(tmp_path):
    backend = Backend(str(tmp_path))
    assert backend.admin.put("/v1/variables/s?secret=1", b'"x"').status == 201
    assert backend.stop() == 0
    key = pathlib.Path(backend.data) / "keys/master.key"
    right = key.read_bytes()
    key.unlink()
    run = start_in_vain(backend)
    assert run.returncode == 1
    assert "holds 1 secrets that were encrypted with another master key; " \
           "restore the file keys/master.key" in run.stderr
    assert not key.exists()
    key.write_bytes(right)
    key.chmod(0o600)
    backend.start()
    assert backend.admin.get("/v1/variables/s").json == "x"
    assert backend.stop() == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, which can be mounted read-only."""
    assert os.geteuid() == 0, "mounts need root"
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", place],
                   check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_read_only_directory(small_disk):
    backend = Backend(str(small_disk))
    fill(backend, 3)
    assert backend.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    run = start_in_vain(backend)
    assert run.returncode == 1
    assert "Read-only file system" in run.stdout + run.stderr
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    backend.start()
    assert read_all(backend)[0].status == 200
    assert backend.stop() == 0


def test_a_lost_master_key(tmp_path):
    backend = Backend(str(tmp_path))
    assert backend.admin.put("/v1/variables/s?secret=1",
                             b'"geheim"').status == 201
    assert backend.stop() == 0
    [key] = tmp_path.glob("**/keys/master.key")
    kept = key.read_bytes()
    key.unlink()
    run = start_in_vain(backend)
    assert run.returncode == 1
    assert "restore the file keys/master.key" in run.stdout + run.stderr
    # None is made in its place, which would hide that it is lost.
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    backend.start()
    assert backend.admin.get("/v1/variables/s").body == b'"geheim"'
    assert backend.stop() == 0


# ---------------------------------------------------------------- the clock

FAKETIME = next(iter(
    pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@pytest.mark.parametrize("jump", ["+2h", "-2h"])
def test_the_clock_jumps(tmp_path, jump):
    """Leases are kept by a clock that nobody sets."""
    assert FAKETIME, "the package faketime is missing: ./dev setup"
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    backend = Backend(str(tmp_path / "backend"), "--lease", "2s", env={
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # The preloaded library comes before the sanitizer's.
        "ASAN_OPTIONS": ASAN + ":verify_asan_link_order=0"})
    agent = backend.agent(slots=2)
    kept, lost = backend.submit(), backend.submit()
    claims = {}
    for _ in range(2):
        claim = agent.claim()
        claims[claim.job] = claim
        assert agent.started(claim).status == 200
    clock.write_text(jump + "\n")
    # One is heard of again and again, the other never.
    begun = time.monotonic()
    while backend.job(lost)["state"] == "running":
        agent.heartbeat(claims[kept])
    assert time.monotonic() - begun > 1, "its lease was cut short"
    assert backend.job(lost)["state"] == "lost"
    assert backend.job(kept)["state"] == "running"
    assert backend.stop() == 0
