"""Search for an architecture: ``python search.py experiment=enas_micro_cifar``."""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while libraries are imported

import hydra
from omegaconf import DictConfig

from lightning_nas.run.cli import print_user_errors, run_command


@hydra.main(version_base="1.3", config_path="configs", config_name="search")
def main(cfg: DictConfig) -> float | None:
    """Run a search; return the number that a sweeper optimizes."""
    # imports torch, which --help does not need
    from lightning_nas.judge.after_search import judge_finished_search
    from lightning_nas.run.search import search

    with print_user_errors():
        return search(cfg, judge_finished_search)


if __name__ == "__main__":
    run_command(main)
