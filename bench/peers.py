"""The servers that the sidecar is measured against, with one worker each and
nothing switched on that costs time."""

import machine

# The same bytes as bench_upstream.c tells.
VALUE = '"a value of fifty bytes, as a key or an URL would be"'

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid;
error_log {dir}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/nginx-1; proxy_temp_path {dir}/nginx-2;
  fastcgi_temp_path {dir}/nginx-3; uwsgi_temp_path {dir}/nginx-4;
  scgi_temp_path {dir}/nginx-5;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{value}'; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s unix@{backend} proto h2
"""


class Peer(machine.Program):
    def __init__(self, port, argv):
        super().__init__(argv)
        self.port = port
        try:
            machine.wait_until(lambda: machine.answers(port), argv[0])
        except BaseException:
            self.stop()
            raise


def nginx_argv(directory, port):
    path = directory / f"nginx-{port}.conf"
    path.write_text(NGINX.format(dir=directory, port=port, value=VALUE))
    # -e: else it opens the system's log first.
    return ["nginx", "-e", directory / "nginx.log", "-p", directory,
            "-c", path]


class Nginx(Peer):
    name = "nginx"

    def __init__(self, directory):
        machine.need("nginx")
        port = machine.free_port()
        super().__init__(port, [*machine.pin(machine.SERVER_CORE),
                                *nginx_argv(directory, port)])

    @property
    def worker(self):
        return self.children()[0]


class Haproxy(Peer):
    name = "haproxy"

    def __init__(self, directory, backend):
        machine.need("haproxy")
        port = machine.free_port()
        path = directory / "haproxy.cfg"
        path.write_text(HAPROXY.format(port=port, backend=backend))
        super().__init__(port, [*machine.pin(machine.SERVER_CORE), "haproxy",
                                "-db", "-f", path])


class Nghttpx(Peer):
    name = "nghttpx"

    def __init__(self, directory, backend):
        machine.need("nghttpx")
        port = machine.free_port()
        super().__init__(port, [
            *machine.pin(machine.SERVER_CORE), "nghttpx", "--conf=/dev/null",
            "--workers=1", "--single-process", "--errorlog-file=/dev/null",
            f"--frontend=127.0.0.1,{port};no-tls",
            f"--backend=unix:{backend};;proto=h2"])
