"""How often the verdict of a report is right, over simulated ENAS searches.

The real rule of the report judges made-up accuracies of networks trained from scratch and made-up
samples of the entropy. Kinds of controllers:

- frozen: learns nothing; the derived architecture is a random one.
- settled: settles on one architecture without regard to its quality; its entropy falls.
- good: prefers architectures that are better by ``--effect`` standard deviations of random ones.

    python -m benchmarks.verdict
    python -m benchmarks.verdict --architectures 12 --effect 2.0
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nas.report.record import RunRecord
from lightning_nas.report.verdict import describe_verdict
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.run_folder import describe_state
from lightning_nas.storage.trial import DERIVED, RANDOM

KINDS = ("frozen", "settled", "good")
MEAN, CLASSES = 0.9, 10  # mean accuracy of random architectures, classes of the images
NATS, FALL = 60.0, 5.0  # entropy of uniform sampling, and its fall if the controller learns
SAMPLES = 100  # of the entropy, at the start and at the end


def simulate(kind: str, random: np.random.Generator, settings: Mapping[str, Any]) -> RunRecord:
    """Return the record of a search that was judged, with made-up values.

    Args:
        kind: One of ``KINDS``.
        random: Source of all made-up values.
        settings: Options of the command, without ``runs``.
    """
    spread, noise = settings["spread"], settings["noise"]
    gain = settings["effect"] if kind == "good" else random.normal()
    derived = MEAN + spread * gain + noise * random.normal(size=settings["seeds"])
    deviation = np.hypot(spread, noise / settings["trainings"] ** 0.5)
    others = MEAN + deviation * random.normal(size=settings["architectures"])
    architectures = [{"arm": RANDOM, "alone": [float(one)]} for one in others]
    architectures.append({"arm": DERIVED, "alone": derived.tolist()})
    summary = {"status": "complete", "classes": CLASSES}
    end = NATS - FALL * (kind != "frozen")
    return RunRecord(
        folder=Path(kind),
        configuration="",
        config={"method": {"controller_steps": 10}},
        summary=summary,
        space=MacroSpace(),
        trials=(),
        texts={},
        metrics=(),
        shares_weights=True,
        chosen=None,
        judgement={
            "images": "test",
            "search": describe_state(summary),
            "architectures": architectures,
        },
        entropies=(
            (NATS + random.normal(size=SAMPLES)).tolist(),
            (end + random.normal(size=SAMPLES)).tolist(),
        ),
    )


def count_answers(kind: str, runs: int, settings: Mapping[str, Any], seed: int = 0) -> Counter[str]:
    """Return how often the report gives each answer for searches of one kind."""
    random = np.random.default_rng([seed, KINDS.index(kind)])
    return Counter(describe_verdict(simulate(kind, random, settings)).answer for _ in range(runs))


def main() -> None:
    """Print a table: a row for each kind of controller, with the number of each answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="of each kind (default: 1000)")
    parser.add_argument("--architectures", type=int, default=20, help="random ones (default: 20)")
    parser.add_argument("--trainings", type=int, default=1, help="of a random one (default: 1)")
    parser.add_argument("--seeds", type=int, default=5, help="of the derived one (default: 5)")
    parser.add_argument("--spread", type=float, default=0.03, help="among random (default: 0.03)")
    parser.add_argument("--noise", type=float, default=0.01, help="over seeds (default: 0.01)")
    parser.add_argument("--effect", type=float, default=1.5, help="of good ones (default: 1.5)")
    options = vars(parser.parse_args())
    runs = options.pop("runs")
    answers = ("Yes.", "Cannot tell.", "No better.", "No, it did worse.")
    print(f"{'controller':<12}" + "".join(f"{answer:>20}" for answer in answers))
    for kind in KINDS:
        counts = count_answers(kind, runs, options)
        print(f"{kind:<12}" + "".join(f"{counts[answer] / runs:>20.1%}" for answer in answers))


if __name__ == "__main__":
    main()
