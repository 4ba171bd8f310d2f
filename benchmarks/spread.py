"""Spread of the rewards of random children, compared with one child under several seeds.

A search can only find differences that its rewards show. Goal: the standard deviation among
children is at least three times the standard deviation of one child over seeds. Children from all
parts of the ranking are trained again, because a single one may be lucky.

    python -m benchmarks.spread experiment=nasnet_digits
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
from lightning_nas.run.parts import build_data


def main() -> None:
    """Train the children and print the standard deviations and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=20, help="default: 20")
    parser.add_argument(
        "--again", type=int, default=4, help="children to train with all seeds (default: 4)"
    )
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
    ranking = sorted(range(options.children), key=rewards.__getitem__)
    apart = options.children / options.again
    chosen = [ranking[int((place + 0.5) * apart)] for place in range(options.again)]
    again = [
        [reward(place, seed) for seed in range(1, 1 + options.seeds)]
        for place in tqdm(chosen, "Seeds")
    ]
    among = statistics.stdev(rewards)
    within = statistics.fmean(statistics.variance(one) for one in again) ** 0.5
    print(f"{options.children} random children: {_summary(rewards)}")
    for one in again:
        print(f"one child with {options.seeds} seeds: {_summary(one)}")
    print(f"deviation among children {among:.4f}, of one child {within:.4f}, {among / within:.1f}x")


def _summary(rewards: list[float]) -> str:
    return (
        f"mean {statistics.fmean(rewards):.4f}, deviation {statistics.stdev(rewards):.4f}, "
        f"{min(rewards):.4f} to {max(rewards):.4f}"
    )


if __name__ == "__main__":
    main()
