"""Where jobs run: what the server needs for it, and what a job says."""

import contextlib


class Place:
    """An executor of this machine."""

    def __init__(self, executor):
        self.up_options = ("--executors", executor)
        self.job_options = ("--executor", executor)

    def prepare(self, server):
        """Once the server is up."""


@contextlib.contextmanager
def local(base, executor):
    yield Place(executor)


PLACES = {
    "sandbox": lambda base: local(base, "sandbox"),
    "docker": lambda base: local(base, "docker"),
}
