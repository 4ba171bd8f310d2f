"""Made-up scores of architectures, for the tests of facts and plots."""

import numpy as np

from lightning_nas.judge.facts import ArchitectureScores, collect_facts

MODES = ("batch", "running", "recalibrated")


def make_scores(random_arm=12, policy=4, modes=MODES):
    generator = np.random.default_rng(0)
    arms = ["control"] * random_arm + ["policy"] * policy + ["derived"]
    scores = []
    for place, arm in enumerate(arms):
        quality = 0.9 + generator.normal(0, 0.01)
        seeds = 3 if arm == "derived" else 1
        alone = tuple((quality + generator.normal(0, 0.002, seeds)).tolist())
        shared = {mode: quality - 0.2 + float(generator.normal(0, 0.01)) for mode in modes}
        scores.append(ArchitectureScores(arm, (place, 1), shared, alone, 1000))
    return scores


def facts(**settings):
    return {"run": "runs/x", "epochs": 5, **collect_facts(make_scores(**settings))}
