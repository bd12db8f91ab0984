"""A real sidecar with bench_upstream behind it, and wrk in front."""

import json
import os
import re
import subprocess
import tempfile
import pathlib

import machine

SCALE = {"us": 1, "ms": 1000, "s": 1000000}


class Upstream(machine.Program):
    """Orchestrator and backend of any number of sidecars."""

    def __init__(self, settings):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=settings.directory))
        self.backend = self.directory / "backend.sock"
        super().__init__(
            [*machine.pin(machine.LOAD_CORE),
             machine.PROGRAMS / "bench_upstream", self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.token = self.read("token")

    def read(self, key):
        """That of the next line that has it."""
        for line in self.process.stdout:
            found = json.loads(line)
            if key in found:
                return found[key]
        raise RuntimeError("bench_upstream ended")

    def sidecar_argv(self, port):
        return [machine.BIN / "cronium-sidecar", "--log-level", "error",
                "--control", self.directory / "control.sock",
                "--backend", f"unix:{self.backend}",
                "--listen", f"127.0.0.1:{port}"]

    @property
    def authorization(self):
        return f"Authorization: Bearer {self.token}"

    def request(self, path, end=False):
        """Its bytes, as text."""
        last = "Connection: close\r\n" if end else ""
        return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                f"{self.authorization}\r\n{last}\r\n")


class Sidecar(machine.Program):
    """Assigned."""

    name = "sidecar"

    def __init__(self, upstream, core=machine.SERVER_CORE):
        super().__init__([*machine.pin(core), *upstream.sidecar_argv(0)])
        try:
            self.port = int(upstream.read("listen")[0].rpartition(":")[2])
            upstream.read("assigned")
        except BaseException:
            self.stop()
            raise


class Load:
    """One run of wrk."""

    def __init__(self, url, seconds, connections, header):
        self.output = subprocess.run(
            [*machine.pin(machine.LOAD_CORE), "wrk", "-t1",
             f"-c{connections}", f"-d{seconds}s", "--latency", "-H", header,
             url],
            check=True, capture_output=True, text=True,
            timeout=seconds + machine.TIMEOUT_S).stdout
        if "Non-2xx" in self.output or "Socket errors" in self.output:
            raise RuntimeError(f"{url} answered badly:\n{self.output}")
        self.requests = int(self._find(r"(\d+) requests in"))
        self.per_second = float(self._find(r"Requests/sec:\s+([\d.]+)"))

    def _find(self, pattern):
        return re.search(pattern, self.output)[1]

    @property
    def p50_us(self):
        value, unit = re.search(r" 50%\s+([\d.]+)(us|ms|s)",
                                self.output).groups()
        return float(value) * SCALE[unit]
