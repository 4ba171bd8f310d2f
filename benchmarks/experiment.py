"""An experiment of ``configs/`` for a benchmark, as ``search.py`` would read it."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

CONFIGS = Path(__file__).parents[1] / "configs"


def experiment(arguments: list[str], folder: str | Path = "") -> DictConfig:
    """Return the configuration of a search.

    Args:
        arguments: As ``search.py`` takes them: ``experiment=NAME``, settings.
        folder: Where the search's journal is written.
    """
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("search", arguments)
    with open_dict(cfg):
        cfg.method.journal = str(Path(folder) / "trials.sqlite")
    return cfg
