import pytest

import backend_process


@pytest.fixture
def sqlite(monkeypatch):
    """For what is about SQLite's file, wherever the other tests store."""
    monkeypatch.setattr(backend_process, "STORE", None)
