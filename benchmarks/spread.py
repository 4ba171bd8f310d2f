"""Can a task tell architectures apart? How far random children differ, and one child under seeds.

python -m benchmarks.spread experiment=nasnet_digits

A search can only find what its rewards show: goal, at least three times as far.
"""

import argparse
import statistics

import torch
from hydra.utils import instantiate
from tqdm import tqdm

from benchmarks.experiment import experiment
from benchmarks.machine import quiet
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.evaluation.executors import Evaluator
from lightning_nas.runs import build_data


def main() -> None:
    """Train the children and print both standard deviations and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=20, help="default: 20")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("settings", nargs="+", help="experiment=NAME and settings of search.py")
    options = parser.parse_args()
    quiet()
    cfg = experiment(options.settings)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    evaluate: Evaluator = instantiate(cfg.evaluation)(data=build_data(cfg))
    space = instantiate(cfg.space)
    torch.manual_seed(cfg.seed)
    tokens_NT = UniformController(space).sample(options.children).tokens_NT.tolist()

    def reward(place: int, seed: int) -> float:
        return evaluate(space.decode(tokens_NT[place]), seed, lambda: None).reward

    rewards = [reward(place, seed=0) for place in tqdm(range(options.children), "Children")]
    middle = sorted(range(options.children), key=rewards.__getitem__)[options.children // 2]
    again = [reward(middle, seed) for seed in tqdm(range(1, 1 + options.seeds), "Seeds")]
    among, within = statistics.stdev(rewards), statistics.stdev(again)
    print(f"{options.children} random children: {_summary(rewards)}")
    print(f"the middle one under {options.seeds} seeds: {_summary(again)}")
    print(f"ratio of the deviations {among / within:.1f}")


def _summary(rewards: list[float]) -> str:
    return (
        f"mean {statistics.fmean(rewards):.4f}, deviation {statistics.stdev(rewards):.4f}, "
        f"{min(rewards):.4f} to {max(rewards):.4f}"
    )


if __name__ == "__main__":
    main()
