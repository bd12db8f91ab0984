"""A download of a job through the egress proxy, against the same through
haproxy as a relay of TCP."""

import subprocess

from machine import TIMEOUT_S, interleave, need
from peers import HaproxyTcp, Nginx
from report import Row, Target
from server import Cronium, bash_job, first_line

FILE = "download"
CURL = "curl -sS --noproxy '' -o /dev/null -w '%{speed_download}\\n'"


def mb_per_second(text):
    return float(text) / 1e6


def run(settings):
    need("bwrap", "curl", "nginx", "haproxy")
    with open(settings.directory / FILE, "wb") as f:
        f.truncate(settings.stream_mb * 1000 * 1000)
    with Nginx(settings.directory, pinned=False) as nginx, \
            HaproxyTcp(settings.directory, nginx.port) as haproxy, \
            Cronium(settings, "sandbox", 4, "--egress-allow",
                    f"127.0.0.1:{nginx.port}") as server:

        def url(port):
            return f"http://127.0.0.1:{port}/file/{FILE}"

        job = bash_job("sandbox", f"{CURL} --proxytunnel {url(nginx.port)}",
                       net=[f"127.0.0.1:{nginx.port}"])

        def direct(port):
            return mb_per_second(subprocess.run(
                ["bash", "-c", f"{CURL} --proxy '' {url(port)}"], check=True,
                capture_output=True, text=True, timeout=TIMEOUT_S).stdout)

        speed = interleave(settings.rounds, {
            "proxy": lambda: mb_per_second(first_line(server, job)[1]),
            "haproxy": lambda: direct(haproxy.port),
        })
    return [Row("egress proxy: one large download", "MB/s", speed["proxy"],
                [speed["haproxy"]], Target("ratio", at_least=0.8),
                higher_is_better=True)]
