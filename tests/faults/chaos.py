"""Kills programs at random, and at every named step, under a load of jobs."""

import collections
import os
import signal
import time

from world import fail_points

# What is hit how often. connections: needs a relay.
TARGETS = {"backend": 4, "orchestrator": 4, "both": 1, "pod": 2}
REMOTE_TARGETS = {"backend": 1, "orchestrator": 1, "connections": 6}
# disk and clock: World(hostile=True).
HOSTILE_TARGETS = {"backend": 2, "orchestrator": 2, "disk": 2, "clock": 4}
# engine: EngineWorld.
ENGINE_TARGETS = {"backend": 3, "orchestrator": 3, "engine": 2}
FULL_S = (0.2, 1.5)  # how long the disk is full
# From end to end more than a lease, less than the leeway of tokens.
CLOCK_JUMP_S = 14
REPLIES_LOST_MAX = 4  # one after the other, each with its connection
FAIL_POINT_SHARE = 0.5  # of the starts are armed
FAIL_POINT_HITS = 60    # it is reached at most so often before it kills
PAUSE_S = (0.05, 0.7)  # between two kills
ARMED_S = 2.0           # for a fail point to be reached, then it is killed


class Chaos:
    """What it does follows from its dice: the same seed, the same order."""

    def __init__(self, world, rng, targets=None):
        self.world, self.rng = world, rng
        self.targets = targets or TARGETS
        self.kills = collections.Counter()
        self.pod_kills = 0
        # Each point once, in any order, before any comes twice.
        self.points = {p.name: [] for p in world.programs}

    def next_point(self, program):
        if self.rng.random() >= FAIL_POINT_SHARE:
            return None
        left = self.points[program.name]
        if not left:
            left += fail_points(program.name)
            self.rng.shuffle(left)
        if not left:
            return None
        hits = 1 + int(FAIL_POINT_HITS * self.rng.random() ** 3)
        return f"{left.pop()}=kill@{hits}"

    def kill(self, program):
        if program.armed:
            deadline = time.monotonic() + ARMED_S
            while not program.dead() and time.monotonic() < deadline:
                time.sleep(0.01)
        program.kill()
        self.kills[program.name] += 1
        program.start(self.next_point(program))

    def kill_in_pod(self):
        """Sidecar, runner, bubblewrap or the script itself."""
        found = sorted(self.world.pod_processes())
        if not found:
            return
        pid, _ = self.rng.choice(found)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.pod_kills += 1
        self.kills["pod"] += 1

    def fill_disk(self):
        """What is acknowledged while it is full counts, too."""
        self.world.disk.fill()
        time.sleep(self.rng.uniform(*FULL_S))
        self.world.disk.empty()
        self.kills["disk"] += 1

    def step(self):
        names = list(self.targets)
        target = self.rng.choices(names, [self.targets[n] for n in names])[0]
        programs = {p.name: p for p in self.world.programs}
        if target == "pod":
            self.kill_in_pod()
        elif target == "connections":
            self.world.relay.replies_to_lose += self.rng.randint(
                1, REPLIES_LOST_MAX)
            self.kills[target] += 1
        elif target == "engine":
            self.world.engine.kill()
            self.kills[target] += 1
        elif target == "disk":
            self.fill_disk()
        elif target == "clock":
            self.world.clock.set(self.rng.randint(-CLOCK_JUMP_S, CLOCK_JUMP_S))
            self.kills[target] += 1
        elif target == "both":
            for program in programs.values():
                self.kill(program)
        else:
            self.kill(programs[target])
        time.sleep(self.rng.uniform(*PAUSE_S))

    def revive(self):
        """Programs that died at their fail point meanwhile start again."""
        for program in self.world.programs:
            if program.dead():
                program.note_death()
                self.kills[program.name] += 1
                program.start(self.next_point(program))

    def run(self, kills):
        while sum(self.kills.values()) < kills:
            self.step()
            self.revive()

    def calm(self):
        """No more deaths: whatever is armed starts anew without."""
        for program in self.world.programs:
            if program.dead() or program.armed:
                program.kill()
                program.start()
        self.world.wait_ready()

    def deaths(self):
        """How often what died of what, for the report."""
        return {p.name: dict(p.deaths) for p in self.world.programs}
