"""Do the shared weights of a search rank architectures, and is what it found better than chance?

``python -m lightning_nas.judge RUN``, for the run folder of an ENAS search. Architectures that are
drawn uniformly, some of the controller's and the derived one are scored with the shared weights and
trained from scratch. ``lightning_nas/methods/enas.md`` has what came out.
"""

import argparse
import signal
import sys
import warnings

from lightning_nas.run.cli import print_user_errors


def main() -> None:
    """Run the command; a user's error is one line and exit status 2."""
    options = _parser().parse_intermixed_args()
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    try:
        _judge(options)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # before there was anything to save


def _judge(options: argparse.Namespace) -> None:
    from lightning_nas.callbacks.interrupt import Interrupted  # torch: not needed for --help
    from lightning_nas.judge.judge import judge_run

    try:
        with print_user_errors():
            judge_run(**vars(options))
    except Interrupted as interrupted:
        print(f"interrupted by {interrupted}; the same command goes on", file=sys.stderr)
        sys.exit(interrupted.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.judge", description=__doc__.splitlines()[0]
    )
    parser.add_argument("run", metavar="RUN", help="the run folder of an ENAS search")
    for name, default, what in (
        ("architectures", 30, "drawn uniformly, at least 3"),
        ("sampled", 10, "drawn by the controller, which may be 0"),
        ("seeds", 1, "trainings of each"),
        ("derived-seeds", None, "trainings of the derived one (default: as of the others)"),
        ("epochs", None, "of a training (default: evaluation.epochs of the search)"),
        ("batches", 500, "to gather running statistics on, where the search tracked none"),
    ):
        shown = what if default is None else f"{what} (default: {default})"
        parser.add_argument(f"--{name}", type=int, default=default, help=shown, metavar="N")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="SETTING",
        help="of the trainings, as to search.py: evaluation.network.filters=8, or executor=ray "
        "executor.slots=2 for several at once",
    )
    return parser


if __name__ == "__main__":
    main()
