"""Search for an architecture: ``python search.py experiment=enas_micro_cifar``."""

import hydra
from omegaconf import DictConfig

from lightning_nas.run.cli import print_user_errors, run_command


@hydra.main(version_base="1.3", config_path="configs", config_name="search")
def main(cfg: DictConfig) -> None:
    """Run a search."""
    from lightning_nas.run.search import search  # imports torch, which --help does not need

    with print_user_errors():
        search(cfg)


if __name__ == "__main__":
    run_command(main)
