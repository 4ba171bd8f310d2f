"""Milliseconds that the LSTM controller needs to sample, and to learn from, twenty architectures.

Sampling: the controller of ENAS, in one batch and one by one. Learning: one gradient step of NAS or
NASNet, that is, scoring, loss, backward pass and Adam. NASNet takes four such steps for each batch.
Goal: less than 50 ms on one thread for the 50 decisions of NASNet.

    python -m benchmarks.controller --threads 1
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.machine import parse
from lightning_nas.architecture import COMBINATIONS, NASNET_OPERATIONS
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.policy.ppo import ppo_loss
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.macro import MacroSpace

ARCHITECTURES, HIDDEN, WARM_UP = 20, 64, 2
SAMPLED: dict[str, Space] = {"micro": CellSpace(blocks=5), "macro": MacroSpace(layers=12)}
LEARNED: dict[str, tuple[Space, dict[str, Any]]] = {
    "NAS": (ChainSpace(layers=15), {"hidden": 35, "layers": 2, "skips": "sigmoid"}),
    "NASNet": (
        CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet"),
        {"hidden": 100, "picks": "softmax"},
    ),
}


def median_milliseconds(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median time of a call, including the work that it queued on the device."""
    times = []
    for _ in range(WARM_UP + repeats):
        start = synchronised_time(device)
        run()
        times.append(1e3 * (synchronised_time(device) - start))
    return statistics.median(times[WARM_UP:])


def gradient_step(name: str, device: torch.device) -> Callable[[], None]:
    """Return a gradient step of NAS (REINFORCE) or NASNet (PPO) on a batch of its own samples."""
    space, settings = LEARNED[name]
    lstm = LSTMController(space, bias=True, tanh_constant=None, **settings)
    adam = partial(torch.optim.Adam, lr=1e-4)
    module = ControllerModule(lstm, MovingAverageBaseline(0.95), adam).to(device)
    optimizer = module.configure_optimizers()
    sampled, _ = module.sample(ARCHITECTURES)
    tokens, old_log_prob_N = sampled.tokens_NT.tolist(), sampled.log_prob_N.detach()
    reward_N = torch.rand(ARCHITECTURES, device=device)

    def step() -> None:
        rollout = module.score(tokens)
        if name == "NAS":
            loss, _ = module.loss(rollout, reward_N)
        else:
            surrogate = ppo_loss(rollout.log_prob_N, old_log_prob_N, reward_N, clip=0.2)
            loss = surrogate - module.entropy_weight * rollout.entropy_N.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure sampling, then learning, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="default: 10")
    arguments = parse(parser)
    repeats, device = arguments.repeats, arguments.device
    print(f"{'sampling':<10}{'batch, ms':>12}{'one by one, ms':>16}{'ratio':>8}")
    for name, space in SAMPLED.items():
        controller = LSTMController(space, hidden=HIDDEN).to(device)

        def batched(controller: LSTMController = controller) -> None:
            controller.sample(ARCHITECTURES)

        def one_by_one(controller: LSTMController = controller) -> None:
            for _ in range(ARCHITECTURES):
                controller.sample(1)

        fast, slow = (median_milliseconds(run, repeats, device) for run in (batched, one_by_one))
        print(f"{name:<10}{fast:>12.1f}{slow:>16.1f}{slow / fast:>8.1f}")
    print(f"\n{'learning':<10}{'decisions':>12}{'step, ms':>16}")
    for name, (space, _) in LEARNED.items():
        step = median_milliseconds(gradient_step(name, device), repeats, device)
        print(f"{name:<10}{space.length:>12}{step:>16.1f}")


if __name__ == "__main__":
    main()
