"""The configuration of an experiment in ``configs/``, composed as ``search.py`` composes it."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from lightning_nas.storage.run_folder import RunFolder

CONFIGS = Path(__file__).parents[1] / "configs"


def experiment(arguments: list[str], folder: str | Path = "") -> DictConfig:
    """Return the configuration of a search.

    Args:
        arguments: Arguments of ``search.py``: ``experiment=NAME`` and settings.
        folder: Folder of the journal.
    """
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("search", arguments)
    with open_dict(cfg):
        cfg.method.journal = str(RunFolder(folder).journal)
    return cfg
