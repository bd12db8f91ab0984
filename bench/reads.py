"""A variable that the sidecar has cached, against nginx's constant reply."""

from machine import interleave, need
from peers import Nginx
from pod import Load, Sidecar, Upstream
from report import Row, Target, pick

PATH = "/variables/API_URL"
CONNECTIONS = 32


def run(settings):
    need("nginx", "wrk", "taskset")
    with Upstream(settings) as upstream, Sidecar(upstream) as sidecar, \
            Nginx(settings.directory) as nginx:

        def load(server, connections):
            return Load(f"http://127.0.0.1:{server.port}{PATH}",
                        settings.seconds, connections, upstream.authorization)

        def measure(server):
            """Requests a second, and requests a second of processor."""
            before = server.cpu_s()
            done = load(server, CONNECTIONS)
            return (done.per_second,
                    done.requests / (server.cpu_s() - before))

        servers = [sidecar, nginx]
        many = interleave(settings.rounds, {
            s.name: lambda s=s: measure(s) for s in servers})
        one = interleave(settings.rounds, {
            s.name: lambda s=s: load(s, 1).p50_us for s in servers})
    rate, core = pick(many, 0), pick(many, 1)
    return [
        Row("cached read, 32 connections, per core", "requests/s",
            core["sidecar"], [core["nginx"]], Target("ratio", at_least=0.9),
            higher_is_better=True),
        Row("cached read, 32 connections, as it came", "requests/s",
            rate["sidecar"], [rate["nginx"]], Target("ratio", at_least=0.9),
            higher_is_better=True),
        Row("cached read, 1 connection, p50", "us", one["sidecar"],
            [one["nginx"]], Target("ratio", at_most=1.1)),
    ]
