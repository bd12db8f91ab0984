"""Tools connect to the outside alone."""

import pytest

from target_server import Target
from tool_world import TOKEN, World
from tool_world import no_world_stays  # noqa: F401

pytestmark = pytest.mark.timeout(120)

CLOSED = ["http://127.0.0.1:{port}/", "http://127.1:{port}/",
          "http://2130706433:{port}/", "http://0x7f000001:{port}/",
          "http://0177.0.0.1:{port}/", "http://0x7f.1:{port}/",
          "http://0.0.0.0:{port}/", "http://0:{port}/",
          "http://localhost:{port}/", "http://[::1]:{port}/",
          "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
          "http://[::ffff:7f00:1]:{port}/", "http://169.254.169.254/latest/",
          "http://[fd00::1]/", "http://10.0.0.1/", "http://192.168.0.1/",
          "http://100.64.0.1/", "http://224.0.0.1/",
          "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/"]
HERE = ["http://LOCALHOST.:{port}/", "http://127.0.0.1.:{port}/",
        "http://[fe80::1]:{port}/", "http://[::1%25lo]:{port}/",
        "http://user@127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd", "http://127.0.0.1:{port}#@example.org/",
        "http:\\\\127.0.0.1:{port}/", "//127.0.0.1:{port}/"]


def test_the_inside_is_closed(tmp_path):
    """However the address is written. What libcurl does not take for an
    address is a name that nobody has."""
    world = World(tmp_path, allow=False)
    for url in HERE:
        url = url.format(port=world.target.port)
        reply = world.call("probe", "once", {"url": url})
        assert reply.status in (403, 422, 424), (url, reply)
        if reply.status == 403:
            assert reply.code == "target_refused", (url, reply)
        elif reply.status == 424:
            assert "resolv" in reply.json["detail"].lower(), (url, reply)
    for url in CLOSED:
        url = url.format(port=world.target.port)
        reply = world.call("probe", "once", {"url": url})
        assert reply.status == 403, (url, reply)
        assert "--tools-allow" in reply.json["detail"]
    assert not world.target.calls
    world.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_redirects_do_not_lead_inside(tmp_path, host):
    outer, inner = Target(), Target()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "jump.yaml").write_text(f"""
name: jump
actions:
  go:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/http://{host}:{inner.port}/echo'
    follow_redirects: 3
""")
    world = World(tmp_path, "--tools-allow", f"127.0.0.1:{outer.port}")
    reply = world.call("jump", "go")
    assert reply.status == 403 and reply.code == "target_refused", reply
    assert len(outer.calls) == 1 and not inner.calls
    outer.close(), inner.close(), world.close()


def test_redirects_do_not_carry_credentials(tmp_path):
    outer, inner = Target(), Target()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "jump.yaml").write_text(f"""
name: jump
credentials: {{key: {{secret: JUMP_KEY}}}}
actions:
  go:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/{inner.url}/echo'
      headers: {{X-Key: '{{{{credentials.key}}}}'}}
    follow_redirects: 3
  push:
    params: {{type: object}}
    request:
      method: POST
      url: '{outer.url}/redirect/307/{inner.url}/echo'
      json: {{}}
    follow_redirects: 3
  home:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/{outer.url}/echo'
      headers: {{X-Key: '{{{{credentials.key}}}}'}}
    follow_redirects: 3
""")
    world = World(tmp_path, "--tools-allow", "127.0.0.0/8")
    assert world.backend.admin.put("/v1/variables/JUMP_KEY?secret=1",
                                   TOKEN).status == 201
    reply = world.call("jump", "go", key="k")
    assert reply.status == 200, reply
    assert outer.calls[0].headers["x-key"] == TOKEN
    assert len(inner.calls) == 1
    for name in ("x-key", "idempotency-key", "traceparent"):
        assert name not in inner.calls[0].headers
    reply = world.call("jump", "push")
    assert reply.status == 424 and "redirects" in reply.json["detail"], reply
    assert len(inner.calls) == 1
    reply = world.call("jump", "home")
    assert reply.status == 200 and outer.calls[-1].headers["x-key"] == TOKEN
    outer.close(), inner.close(), world.close()


def test_names_can_be_allowed(tmp_path):
    target = Target()
    world = World(tmp_path, "--tools-allow", f"localhost:{target.port}",
                  target=target, allow=False)
    url = f"http://localhost:{target.port}/echo"
    assert world.call("http", "request", {"url": url}).status == 200
    reply = world.call("http", "request", {"url": f"{target.url}/echo"})
    assert reply.status == 403 and reply.code == "target_refused"
    world.close()
