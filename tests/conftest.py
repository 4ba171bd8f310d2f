"""What all tests share. One thread for each test process: they are small, and would only spin."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
ENAS_PAGE = Path(__file__).parents[1] / "lightning_nas" / "methods" / "enas.md"


@pytest.fixture(scope="session")
def glossary():
    """The names of all metrics that the method's page explains."""
    lines = ENAS_PAGE.read_text().splitlines()
    return {line.split("`")[1] for line in lines if line.startswith("| `")}
