"""Judged architectures that were made up, for the tests of what is said and drawn of them."""

import numpy as np

from lightning_nas.judge.facts import JudgedArchitecture, collect_facts

MODES = ("batch", "running", "recalibrated")


def judged(uniform=12, policy=4, modes=MODES):
    random = np.random.default_rng(0)
    arms = ["control"] * uniform + ["policy"] * policy + ["derived"]
    ones = []
    for place, arm in enumerate(arms):
        quality = 0.9 + random.normal(0, 0.01)
        seeds = 3 if arm == "derived" else 1
        alone = tuple((quality + random.normal(0, 0.002, seeds)).tolist())
        shared = {mode: quality - 0.2 + float(random.normal(0, 0.01)) for mode in modes}
        ones.append(JudgedArchitecture(arm, (place, 1), shared, alone, 1000))
    return ones


def facts(**settings):
    return {"run": "runs/x", "epochs": 5, **collect_facts(judged(**settings))}
