"""Many at once: more than Docker's default address pools can hold."""


import pytest

from harness import ENDS, FREE, Server

MANY = {"sandbox": 200, "docker": 40}

# Each waits until all the others run too.
SCRIPT = """
import cronium, time
count = cronium.input()
cronium.set_variable('here.%s' % cronium.get_event_context()['job'], 1)
end = time.monotonic() + 400
while len(cronium.list_variables('here.')) < count:
    assert time.monotonic() < end
    time.sleep(0.5)
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("egress", [False, True])
def test_at_once(executor, egress, tmp_path):
    if egress and executor != "docker":
        return
    many = MANY[executor]
    server = Server(tmp_path, "--executors", executor, "--slots", many)
    try:
        script = tmp_path / "s.py"
        script.write_text(SCRIPT)
        options = ["--egress"] if egress else []
        jobs = [
            server.cronium(
                "submit", *FREE, "--executor", executor, script,
                "--input", many,
                "--json", "--memory", "64m", *options,
            ).ok().json["id"]
            for _ in range(many)
        ]
        for job in jobs:
            assert server.wait_state(job, *ENDS, seconds=500)["state"] == \
                "succeeded"
    finally:
        assert server.stop() == 0
