"""The package works after an installation, from any folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
from importlib.metadata import metadata

from lightning_nas import build_network, load_architecture
from lightning_nas.run.groups import CONFIGS

assert build_network(load_architecture("enas_micro"), num_classes=3, filters=4, cells=1)
assert metadata("lightning-nas").get_all("Provides-Extra") == ["optuna"]
print(CONFIGS, len(list(CONFIGS.rglob("*.yaml"))))
"""
FILES = len(list((ROOT / "configs").rglob("*.yaml")))


@pytest.fixture
def clone(tmp_path):
    """A clone in a folder with the name of the package, as git makes it."""
    clone = tmp_path / "lightning_nas"
    for name in ("lightning_nas", "configs"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy(path, clone)
    return clone


def run_beside(clone, *options):
    """Install the clone into a new environment, and run a script in the folder beside it."""
    environment = clone.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *options, clone], check=True)
    # the packages that the project needs are those of the tests
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "packages_of_the_tests.pth").write_text(sysconfig.get_paths()["purelib"])
    script = clone.parent / "script.py"
    script.write_text(SCRIPT)
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, script], cwd=clone.parent, env=outside, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    folder, count = done.stdout.rsplit(maxsplit=1)
    assert int(count) == FILES
    return Path(folder)


@pytest.mark.slow
def test_a_script_beside_an_editable_clone_imports_the_package(clone):
    assert run_beside(clone, "--editable") == clone / "configs"


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_the_configurations(clone):
    folder = run_beside(clone)
    assert folder.parent.name == "lightning_nas"
    assert "site-packages" in folder.parts
