"""Search for an architecture: ``python search.py experiment=enas_micro_cifar``."""

import hydra
from omegaconf import DictConfig

from lightning_nas.launch import command, one_line


@hydra.main(version_base="1.3", config_path="configs", config_name="search")
def main(cfg: DictConfig) -> None:
    """Run the search that the configuration describes."""
    from lightning_nas.runs import search  # torch and Lightning: not needed for --help

    with one_line():
        search(cfg)


if __name__ == "__main__":
    command(main)
