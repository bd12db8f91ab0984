"""A bounded run of ./dev faults, in every test run."""

import random

import pytest

from world import built_with_fail_points, fail_points
from run import arguments, run
import soak

pytestmark = pytest.mark.timeout(300)


def faults(tmp_path, *argv):
    seed = random.SystemRandom().randrange(1 << 32)
    report = run(arguments([f"--seed={seed}", *argv]), tmp_path / "world")
    print(report)
    assert report["jobs"] and not report["wrong"], report
    return report


def test_every_step_may_be_the_last(tmp_path):
    """All fail points, and random kills between them."""
    assert built_with_fail_points(), "build with -Dfail_points=true"
    points = {p: set(fail_points(p)) for p in ("backend", "orchestrator")}
    most = max(map(len, points.values()))
    report = faults(tmp_path, f"--kills={3 * most}",
                    "--targets=backend,orchestrator")
    # What ran was not hit, so that nothing may have ended otherwise.
    assert report["broken"] == 0
    reached = sum(cause.startswith("at ") for deaths in
                  report["deaths"].values() for cause in deaths)
    assert reached > most // 4, report["deaths"]


def test_pods_are_hit_as_well(tmp_path):
    faults(tmp_path, "--kills=20")


def test_connections_break(tmp_path):
    report = faults(tmp_path, "--kills=20", "--remote")
    assert report["broken"] == 0


def test_nothing_grows(tmp_path):
    report = soak.run(tmp_path / "world", jobs=300, seconds=60, pace_s=0.01)
    assert not report["wrong"], report
