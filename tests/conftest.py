"""What all tests share. One thread for each test process: they are small, and would only spin."""

import os
import shutil
from pathlib import Path

import pytest
from commands import stop_server

os.environ.setdefault("OMP_NUM_THREADS", "1")
TESTS = Path(__file__).parent
ENAS_PAGE = TESTS.parent / "lightning_nas" / "methods" / "enas.md"


@pytest.fixture(scope="session", autouse=True)
def _command_server():
    yield
    stop_server()


@pytest.fixture(scope="session")
def glossary():
    """Return the names of all metrics that the method's page explains."""
    metrics = ENAS_PAGE.read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    return {line.split("`")[1] for line in metrics.splitlines() if line.startswith("| `")}


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """Return a folder of configurations outside of the project. PYTHONPATH has its parent."""
    folder = tmp_path_factory.mktemp("my own")
    shutil.copytree(TESTS / "outside", folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder / "configs"
