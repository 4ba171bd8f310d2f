"""Small run folders of searches, written with the real journal."""

import contextlib
import csv
import json
import sqlite3

import numpy as np
import yaml

from lightning_nas.architecture import to_json
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.run_folder import describe_state
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM, Outcome, Proposal, Trial

EDGES = {"_target_": "lightning_nas.spaces.edge_cell.EdgeCellSpace", "filters": 16, "cells": 5}
MACRO = {"_target_": "lightning_nas.spaces.macro.MacroSpace", "layers": 6}


def write_folder(folder, space, seed=0, status="complete", metrics=(), **config):
    """Write a run folder without its journal."""
    (folder / ".hydra").mkdir(parents=True)
    method = {"budget": {"cost": None}}
    settings = {"name": "an_experiment", "method_name": "nasnet", "seed": seed, "space": space}
    (folder / ".hydra" / "config.yaml").write_text(
        yaml.safe_dump({**settings, "method": method, **config}, sort_keys=False)
    )
    if status:
        summary = {"method": "nasnet", "status": status, "seconds": 90.5}
        (folder / "summary.json").write_text(json.dumps(summary))
    if metrics:
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(metrics[0]))
            writer.writeheader()
            writer.writerows(metrics)
    return folder


def trial_search(
    folder, count=120, gain=0.2, seed=0, control=0.25, status="complete", learns=True, **config
):
    """Write a search by trials whose reward grows by ``gain``; that of the random arm stays.

    The entropy of a controller that learns falls.
    """
    generator = np.random.default_rng(seed)
    metrics = [
        {"step": n, "epoch": n, "controller/entropy": 9.0 - n, "controller/baseline": 0.5 + n / 50,
         "controller/reward": 0.5 + n / 40}
        for n in range(5)
    ]  # fmt: skip
    write_folder(folder, EDGES, seed, status, metrics, **config)
    space, random = EdgeCellSpace(), np.random.default_rng(seed)
    journal = Journal(folder / "trials.sqlite", str(space))
    for number in range(count):
        arm = RANDOM if generator.random() < control else POLICY
        tokens = tuple(int(n) for n in generator.integers(5, size=6))
        log_prob = -1.6 + learns * number / count + 0.1 * random.normal()
        proposal = Proposal(number, tokens, (log_prob,) * 6, number // 10, arm)
        journal.propose([proposal], [to_json(space.decode(tokens))])
        accuracy = 0.4 + 0.1 * generator.random() + gain * (arm == POLICY) * number / count
        failed = "out of memory" if number % 40 == 7 else None
        outcome = Outcome(
            0.0 if failed else accuracy, () if failed else (accuracy / 2, accuracy),
            None if failed else 1000 + 50 * sum(tokens), 20_000, None, 2.5, failed,
        )  # fmt: skip
        journal.end(number, outcome, outcome.reward)
    journal.close()
    return folder


def collapsed_search(folder, count=160, fewest=40, seed=0):
    """Write a search without gain that ends with copies of one architecture."""
    generator = np.random.default_rng(seed)
    space = EdgeCellSpace()
    write_folder(folder, EDGES, seed)
    journal = Journal(folder / "trials.sqlite", str(space))
    last = None
    for number in range(count):
        arm = RANDOM if number % 4 == 0 else POLICY
        copied = arm == POLICY and number > fewest
        tokens = last[1] if copied else tuple(int(n) for n in generator.integers(5, size=6))
        proposal = Proposal(number, tokens, (-1.6,) * 6, number // 10, arm)
        journal.propose([proposal], [to_json(space.decode(tokens))])
        reward = last[2] if copied else 0.4 + 0.1 * generator.random()
        journal.end(number, Outcome(reward, (reward,)), reward, last[0] if copied else None)
        if arm == POLICY and not copied:
            last = number, tokens, reward
    journal.close()
    return folder


def growing_search(folder, count=160, every=40):
    """Write a uniform search in a growing space; the reward depends on the depth alone."""
    space = {"_target_": "lightning_nas.spaces.chain.ChainSpace", "layers": 2, "repeats": 1}
    generator = np.random.default_rng(0)
    metrics = [{"step": 0, "epoch": 0, "controller/entropy": 0.01}]
    method = {"budget": {"cost": None}, "grow_every": every}
    write_folder(folder, space, metrics=metrics, method=method)
    first = ChainSpace(layers=2, repeats=1)
    journal = Journal(folder / "trials.sqlite", str(first))
    for number in range(count):
        deeper = first.add_layers(2 * (number // every))
        tokens = tuple(
            int(n) for n in generator.integers(np.array(list(deeper.count_token_options())))
        )
        arm = RANDOM if number % 4 == 0 else POLICY
        proposal = Proposal(number, tokens, (-1.0,) * len(tokens), 0, arm)
        journal.propose([proposal], [to_json(deeper.decode(tokens))])
        reward = 0.2 + 0.1 * (number // every) + 0.02 * generator.random()
        journal.end(number, Outcome(reward, (reward,)), reward)
    journal.close()
    return folder


def shared_search(
    folder, epochs=8, steps=10, layers=6, gain=0.1, derived=12, same=False, seed=0,
    controller=None, learns=True, classes=2, finalist_epochs=100,
):  # fmt: skip
    """Write a search with shared weights: 2 uniform samples, then ``steps`` of the controller.

    The entropy of a controller that learns falls.
    """
    generator = np.random.default_rng(seed)
    space = MacroSpace(layers=layers)
    options = np.array(list(space.count_token_options()))
    metrics = [
        {"step": n, "epoch": n, "controller/entropy_epoch": 12.0, "controller/baseline_epoch": 0.4,
         "controller/reward_epoch": 0.5, "weights/accuracy_epoch": 0.5, "val/accuracy": 0.4,
         "weights/seconds": 5.0, "control/seconds": 0.5, "controller/seconds": 4.5}
        for n in range(epochs)
    ]  # fmt: skip
    method = {"budget": {"cost": None}, "controller_steps": steps,
              "finalist_epochs": finalist_epochs,
              "controller": {"controller": "${controller}"}}  # fmt: skip
    write_folder(
        folder, {**MACRO, "layers": layers}, metrics=metrics, method_name="enas", method=method,
        controller=controller,
    )  # fmt: skip
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "classes": classes}))
    random = np.random.default_rng(seed)
    arms = ([(RANDOM, 0)] * 2 + [(POLICY, step) for step in range(steps)]) * epochs
    arms += [(DERIVED, 0)] * derived + [(RANDOM, 0)] * derived
    one = tuple(int(n) for n in generator.integers(options))
    trials = []
    for number, (arm, step) in enumerate(arms):
        epoch = min(number // (2 + steps), epochs)
        sampled = tuple(int(n) for n in generator.integers(options))
        tokens = one if same and arm in (POLICY, DERIVED) else sampled
        reward = 0.3 + 0.4 * epoch / epochs + gain * (arm != RANDOM) + 0.02 * generator.random()
        log_prob = -1.0 + 0.5 * learns * epoch / epochs + 0.01 * random.normal()
        log_probs = (log_prob,) * len(tokens)
        proposal = Proposal(number, tokens, log_probs, epoch * steps + step, arm)
        trials.append(Trial(proposal, Outcome(reward, (reward,)), reward, number + 1))
    journal = Journal(folder / "trials.sqlite", str(space))
    journal.record(trials)
    journal.close()
    return folder


def judge_search(folder, derived, random_arm, images="test"):
    """Write the judgement of a search with shared weights, with these accuracies from scratch."""
    summary = json.loads((folder / "summary.json").read_text())
    architectures = [{"arm": RANDOM, "alone": [accuracy]} for accuracy in random_arm]
    architectures.append({"arm": DERIVED, "alone": list(derived)})
    mean = sum(derived) / len(derived)
    better = sum(accuracy < mean for accuracy in random_arm) / len(random_arm)
    facts = {
        "epochs": 10,
        "images": images,
        "search": describe_state(summary),
        "architectures": architectures,
        "correlations": {},
        "derived": {
            "alone_mean": mean,
            "control_mean": sum(random_arm) / len(random_arm),
            "control_std": float(np.std(random_arm, ddof=1)),
            "control_best": max(random_arm),
            "better_than": better,
        },
    }
    (folder / "weight_sharing.json").write_text(json.dumps(facts))
    return folder


def keep_only_random_arm(folder):
    """Delete all trials from the journal except the random arm."""
    with contextlib.closing(sqlite3.connect(folder / "trials.sqlite")) as journal, journal:
        journal.execute("DELETE FROM trials WHERE arm <> 'control'")
