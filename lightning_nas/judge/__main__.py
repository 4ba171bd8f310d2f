"""Judges whether the shared weights of an ENAS search rank architectures correctly.

``python -m lightning_nas.judge RUN`` trains architectures from scratch and compares their
accuracies with those under the shared weights: uniformly sampled ones, samples of the controller
and the derived one. Results: ``lightning_nas/methods/enas.md``.
"""

import argparse
import sys
import warnings

from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.run.cli import let_waiting_threads_sleep, print_user_errors

NUMBERS = (
    ("architectures", "number of uniformly sampled architectures, at least 3 (default: 30)"),
    ("sampled", "number of architectures sampled by the controller, at least 0 (default: 10)"),
    ("seeds", "trainings of each architecture (default: 1)"),
    ("derived-seeds", "trainings of the derived architecture; a verdict needs 5 (default: 5)"),
    ("epochs", "epochs of a training (default: evaluation.epochs of the search)"),
    (
        "uniform-epochs",
        "epochs of other shared weights, trained on uniform samples alone, which favour no "
        "architecture, at least 0 (default: 0, none)",
    ),
    ("batches", "batches for running statistics, if the search tracked none (default: 500)"),
)


def main() -> None:
    """Run the command; a user's error is one line and exit status 2."""
    options = _make_parser().parse_intermixed_args()
    let_waiting_threads_sleep()
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    from lightning_nas.callbacks.interrupt import Interrupted  # imports torch: too slow for --help
    from lightning_nas.judge.judge import judge_run, print_judgement

    run, settings = options.run, options.settings
    numbers = {name: getattr(options, name.replace("-", "_")) for name, _ in NUMBERS}
    try:
        with print_user_errors():
            facts = judge_run(run, {k.replace("-", "_"): v for k, v in numbers.items()}, settings)
            print_judgement(run, facts)
    except Interrupted as interrupted:
        print(f"interrupted by {interrupted}; to resume: the same command", file=sys.stderr)
        sys.exit(interrupted.exit_code)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.judge",
        description=__doc__.splitlines()[0],
        epilog="A search with settings judge.* replaces these defaults.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder of an ENAS search")
    for name, text in NUMBERS:
        parser.add_argument(f"--{name}", type=int, help=text, metavar="N")
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        help="folder of your own configurations, if the search used code of your own",
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="SETTING",
        help="settings of the trainings, as for search.py: evaluation.network.filters=8; "
        "executor=ray executor.slots=2 trains several at once",
    )
    return parser


if __name__ == "__main__":
    with end_at_ctrl_c():
        main()
