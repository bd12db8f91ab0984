"""A call that is not cached, HTTP/1.1 in front and HTTP/2 behind, through
sidecar, haproxy and nghttpx to the same upstream over the same unix socket."""

from machine import interleave, need
from peers import Haproxy, Nghttpx
from pod import Load, Sidecar, Upstream
from report import Row, Target, pick

CONNECTIONS = 32


def run(settings):
    need("haproxy", "nghttpx", "wrk", "taskset")
    with Upstream(settings) as upstream, Sidecar(upstream) as sidecar, \
            Haproxy(settings.directory, upstream.backend) as haproxy, \
            Nghttpx(settings.directory, upstream.backend) as nghttpx:

        def measure(server):
            """Requests a second, and CPU seconds of 1000."""
            prefix = "" if server is sidecar else "/v1/runtime"
            before = server.cpu_s()
            load = Load(f"http://127.0.0.1:{server.port}{prefix}/condition",
                        settings.seconds, CONNECTIONS, upstream.authorization)
            cpu = (server.cpu_s() - before) * 1000 / load.requests
            return load.per_second, cpu

        both = interleave(settings.rounds, {
            s.name: lambda s=s: measure(s)
            for s in (sidecar, haproxy, nghttpx)})
    rate, cpu = pick(both, 0), pick(both, 1)
    return [
        Row("forwarded call, 32 connections", "requests/s", rate["sidecar"],
            [rate["haproxy"], rate["nghttpx"]], Target("ratio", at_least=1.2),
            higher_is_better=True),
        Row("CPU of 1000 forwarded calls", "s", cpu["sidecar"],
            [cpu["haproxy"], cpu["nghttpx"]], Target("ratio", at_most=0.8)),
    ]
