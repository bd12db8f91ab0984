"""The same jobs, the same results: in a container, in a sandbox, on a host
over SSH, in each language."""

import dataclasses
import http.server
import json
import os
import threading

import pytest

from everywhere import CASES, RUNTIMES
from harness import ENDS, Server, docker_answers
from places import PLACES

WANTED = os.environ.get("CRONIUM_TEST_EXECUTORS", " ".join(PLACES)).split()
MANIFEST = """\
version: v1
interpreter: {runtime}
entrypoint: {entrypoint}
environment: {{REGION: eu}}
metadata: {{jobId: everywhere}}
"""
SECRET = "correct-horse-beef"


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello from outside"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def outside():
    """The ports of two servers outside of every pod; not on 127.0.0.1, for
    which no client asks a proxy."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.2", 0), Hello)
               for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module", params=WANTED)
def place(request, outside, tmp_path_factory):
    """A server, and the options that send a job to this place."""
    if request.param == "docker" and not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")
    base = tmp_path_factory.mktemp(request.param)
    with PLACES[request.param](base) as found:
        server = Server(
            base / "server", "--slots", "8", *found.up_options,
            "--egress-allow", f"127.0.0.2:{outside[0]}",
            "--egress-allow", f"127.0.0.2:{outside[1]}")
        found.prepare(server)
        server.cronium("vars", "set", "EVERYWHERE_SECRET", "-", "--secret",
                       stdin=SECRET).ok()
        server.cronium("vars", "set", "everywhere/limit", "7").ok()
        yield server, found.job_options
        assert server.stop() == 0, server.log.read_text()


def program(server, case, runtime, base):
    """The file to run: the script, or a payload of it."""
    name = f"main.{RUNTIMES[runtime]}"
    directory = base / case.name.replace(" ", "-")
    for path, text in {name: case.script(runtime), **case.files}.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    if not case.files:
        return directory / name
    (directory / "manifest.yaml").write_text(
        MANIFEST.format(runtime=runtime, entrypoint=name))
    server.cronium("pack", directory).ok()
    return f"{directory}.tar.gz"


def options(case, outside, base):
    records = base / "records.ndjson"
    records.write_text("".join(f'{{"n":{n}}}\n' for n in range(100)))
    words = {"RECORDS": str(records), "PORT": str(outside[0]),
             "OTHER": str(outside[1])}
    for option in case.options:
        for word, value in words.items():
            option = option.replace(word, value)
        yield option


@dataclasses.dataclass
class Submitted:
    case: object
    job: str


@pytest.fixture(scope="module", params=RUNTIMES)
def jobs(request, place, outside, tmp_path_factory):
    """All cases, submitted at once."""
    server, where = place
    runtime = request.param
    base = tmp_path_factory.mktemp(runtime)
    return {
        case.name: server.cronium(
            "submit", *where, program(server, case, runtime, base), "--json",
            *options(case, outside, base), *(("--", *case.args)
                                             if case.args else ()),
        ).ok().json["id"]
        for case in CASES
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_result(place, jobs, case):
    server, _ = place
    job = server.wait_state(jobs[case.name], *ENDS)
    told = server.cronium("logs", job["id"]).ok()
    log = told.out + told.err
    assert (job["state"], job["exit_code"]) == (case.state, case.code) or (
        case.state == "timed_out" == job["state"]), (job, log)
    if case.output is not None:
        output = server.cronium("job", job["id"], "--output").ok()
        assert output.json == case.output, log
    for text in case.log:
        assert text in log
    for text in case.hidden:
        assert text not in log
    if case.records is not None:
        records = server.cronium("tail", job["id"]).ok().out.splitlines()
        assert [json.loads(record) for record in records] == case.records
