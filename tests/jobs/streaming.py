"""Jobs whose streams are looked at: submitted, fed, tailed, measured."""

import json
import pathlib

from harness import ENDS, FREE, descendants, docker

SUFFIXES = {"python": ".py", "node": ".mjs", "bash": ".sh"}
LANGUAGES = list(SUFFIXES)

# Each record goes through as it comes.
COPY = {
    "python": "import cronium\n"
    "with cronium.stream_output() as out:\n"
    "    for record in cronium.stream_input():\n"
    "        out.write(record)\n",
    "node": "import { streamInput, streamOutput } from 'cronium';\n"
    "const out = streamOutput();\n"
    "for await (const record of streamInput()) await out.write(record);\n"
    "await out.close();\n",
    "bash": "set -euo pipefail\n"
    "source cronium.sh\n"
    "cronium_stream_input | cronium_stream_output\n",
}


class Jobs:
    """The jobs of a test, on one server and one executor."""

    def __init__(self, server, executor, directory):
        self.server, self.executor = server, executor
        self.directory = pathlib.Path(directory)
        self.scripts = 0

    def script(self, language, text):
        self.scripts += 1
        path = self.directory / f"s{self.scripts}{SUFFIXES[language]}"
        path.write_text(text)
        return path

    def records(self, values, name="in.ndjson"):
        path = self.directory / name
        path.write_text("".join(json.dumps(v) + "\n" for v in values))
        return path

    def submit(self, language, text, *options):
        return self.server.cronium(
            "submit", *FREE, "--executor", self.executor,
            self.script(language, text), "--json", *options,
        ).ok().json["id"]

    def run(self, language, text, *options, **more):
        return self.server.cronium(
            "run", *FREE, "--executor", self.executor,
            self.script(language, text), *options, **more,
        )

    def named(self, name):
        """Ids of the jobs of that name."""
        found = self.server.cronium("jobs", "--json").ok().json["jobs"]
        return [job["id"] for job in found if job["name"] == name]

    def streams(self, job):
        status, body = self.server.get(f"/v1/jobs/{job}/streams")
        assert status == 200, body
        return json.loads(body)

    def output(self, job):
        """The records of its output stream, once that is complete."""
        lines = self.server.cronium("tail", job).ok().out.splitlines()
        return [json.loads(line) for line in lines]

    def succeeded(self, job):
        found = self.server.wait_state(job, *ENDS)
        assert found["state"] == "succeeded", (
            found, self.server.cronium("logs", job).err,
            self.server.log.read_text()[-5000:],
        )
        return found


def peak(pid):
    """The most bytes that a process has had in memory; 0 once it is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak(pid):
    """peak() counts from now on; what is in memory now."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def sidecars(server, executor, job):
    """Process ids of the sidecars of what runs; with Docker, of the job."""
    if executor == "sandbox":
        tree = descendants(server.children()["cronium-orchestrator"])
        return [pid for pid, name in tree if name == "cronium-sidecar"]
    ids = docker("ps", "-q", "--filter", f"label=cronium.job={job}",
                 "--filter", "label=cronium.role=sidecar").split()
    pids = docker("inspect", "-f", "{{.State.Pid}}", *ids).split() if ids \
        else []
    return [int(pid) for pid in pids if pid != "0"]
