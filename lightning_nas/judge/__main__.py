"""Judges whether the shared weights of an ENAS search rank architectures correctly.

``python -m lightning_nas.judge RUN`` trains architectures from scratch and compares their
accuracies with those under the shared weights: uniformly sampled ones, samples of the controller
and the derived one. Results: ``lightning_nas/methods/enas.md``.
"""

import argparse
import sys
import warnings

from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.run.cli import print_user_errors


def main() -> None:
    """Run the command; a user's error is one line and exit status 2."""
    options = _make_parser().parse_intermixed_args()
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    from lightning_nas.callbacks.interrupt import Interrupted  # imports torch: too slow for --help
    from lightning_nas.judge.judge import judge_run

    arguments = vars(options)
    del arguments["config_dir"]  # read where the configuration of the run is checked
    try:
        with print_user_errors():
            judge_run(**arguments)
    except Interrupted as interrupted:
        print(f"interrupted by {interrupted}; to resume: the same command", file=sys.stderr)
        sys.exit(interrupted.exit_code)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.judge", description=__doc__.splitlines()[0]
    )
    parser.add_argument("run", metavar="RUN", help="run folder of an ENAS search")
    for name, default, text in (
        ("architectures", 30, "number of uniformly sampled architectures, at least 3"),
        ("sampled", 10, "number of architectures sampled by the controller, at least 0"),
        ("seeds", 1, "trainings of each architecture"),
        ("derived-seeds", None, "trainings of the derived architecture (default: --seeds)"),
        ("epochs", None, "epochs of a training (default: evaluation.epochs of the search)"),
        ("batches", 500, "batches for running statistics, if the search tracked none"),
    ):
        help_text = text if default is None else f"{text} (default: {default})"
        parser.add_argument(f"--{name}", type=int, default=default, help=help_text, metavar="N")
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
