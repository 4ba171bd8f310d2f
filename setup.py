"""Adds ``configs/`` to the wheel, as ``lightning_nas/configs``. See ``pyproject.toml``."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigurations(build_py):
    """Step that copies the package and, for a wheel, the configurations."""

    def run(self) -> None:
        """Copy the files."""
        super().run()
        if not self.editable_mode:  # an editable installation reads them from the clone
            copytree("configs", Path(self.build_lib, "lightning_nas/configs"), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigurations})
