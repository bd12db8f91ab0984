"""From fork to the first good reply."""

from machine import bench_exec, free_port, interleave, need
from peers import nginx_argv
from pod import Upstream
from report import Row, Target

OK = "HTTP/1.1 200"


def run(settings):
    need("nginx")
    with Upstream(settings) as upstream:
        health = upstream.request("/healthz", end=True)
        read = upstream.request("/variables/API_URL", end=True)

        def sidecar(request, expected):
            port = free_port()
            return bench_exec("reply", port, request, expected,
                              *upstream.sidecar_argv(port))

        def nginx():
            port = free_port()
            return bench_exec("reply", port, health, OK,
                              *nginx_argv(settings.directory, port))

        took = interleave(settings.repeats, {
            "sidecar": lambda: sidecar(health, OK),
            "assigned": lambda: sidecar(read, "X-Cronium-Cache: hit"),
            "nginx": nginx,
        })
    return [
        Row("start → first 200", "ms", took["sidecar"], [took["nginx"]],
            Target("value", at_most=5)),
        Row("start → assigned → first cached read", "ms", took["assigned"],
            [took["nginx"]], Target("value", at_most=5)),
    ]
