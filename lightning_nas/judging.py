"""From the run folder of an ENAS search to ``weight_sharing.json`` and its pictures."""

import itertools
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from tqdm import tqdm

from lightning_nas.architecture import Architecture
from lightning_nas.callbacks.interrupt import StopAtStep
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.base import ImageData
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.errors import InputError
from lightning_nas.evaluation.journal import Journal
from lightning_nas.evaluation.trial import CONTROL, DERIVED, POLICY, Trial
from lightning_nas.files import replace_text
from lightning_nas.loops.standalone import Candidate, Trainings
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.scoring_modes import MODES, gather, in_mode, tracks
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.published import load_architecture
from lightning_nas.report.correlation import FEWEST
from lightning_nas.report.scatter import draw_scatter
from lightning_nas.report.weight_sharing import Judged, facts_of, lines_of
from lightning_nas.runs import build_data, shown
from lightning_nas.trained import run_configuration

NAME = "weight_sharing"
SETTABLE = ("evaluation.", "executor.", "data.root=", "data.download=", "threads=")
OF_TRAININGS = ("evaluation.",)  # which the outcomes depend on


@dataclass
class Searched:
    """A search that has ended, as it lies in its run folder."""

    run: Path
    cfg: DictConfig
    data: ImageData
    method: ENAS
    trainer: pl.Trainer  # fits nothing: it knows the device and the precision

    @property
    def derived(self) -> Architecture:
        """What the search chose."""
        return load_architecture(self.run)


def judge(
    run: str,
    architectures: int,
    sampled: int,
    seeds: int,
    derived_seeds: int | None,
    epochs: int | None,
    batches: int,
    settings: Sequence[str],
) -> None:
    """Judge the weights of a run, write the files and print what came out.

    Args:
        run: The run folder.
        architectures: Drawn uniformly, at least 3.
        sampled: Drawn by the controller.
        seeds: Trainings of each.
        derived_seeds: Trainings of the derived one; None = as of the others.
        epochs: Of a training; None = ``evaluation.epochs``.
        batches: On which running statistics are gathered, where none were tracked.
        settings: ``name=value``, of the trainings.

    Raises:
        InputError: If the run cannot be judged, or a number or a setting is out of range.
    """
    derived_seeds = seeds if derived_seeds is None else derived_seeds
    if architectures < FEWEST:
        raise InputError(f"--architectures must be at least {FEWEST}, got {architectures}")
    if sampled < 0 or min(seeds, derived_seeds, batches) < 1 or (epochs or 1) < 1:
        raise InputError(
            "--sampled must be at least 0, --seeds, --derived-seeds, --epochs and --batches at "
            f"least 1, got {sampled}, {seeds}, {derived_seeds}, {epochs} and {batches}"
        )
    searched = open_search(Path(run), settings)
    epochs = epochs or int(searched.cfg.evaluation.epochs)
    candidates = draw(searched, architectures, sampled, seeds, derived_seeds)
    with _stopping(searched) as poll:
        trials = _train(searched, candidates, epochs, settings, poll)
        shared = score(searched, [one.tokens for one in candidates], batches, poll)
    facts = {
        "run": str(shown(searched.run)),
        "epochs": epochs,
        "seed": searched.cfg.seed,
        "settings": sorted(settings),
        "running_statistics": "tracked" if _tracked(searched.method) else f"gathered on {batches}",
        **facts_of(_judged(candidates, shared, trials)),
        "failed": _failed(candidates, trials),
    }
    print(f"\n{lines_of(facts)}\n\n{_write(facts, searched.run)}")


# ---- what is judged ------------------------------------------------------------------------------


def open_search(run: Path, settings: Sequence[str] = ()) -> Searched:
    """Return what a run folder holds: images, shared weights and controller.

    Args:
        run: The run folder.
        settings: That replace those of the search.

    Raises:
        InputError: If it is no run folder of an ENAS search that has ended.
    """
    cfg = run_configuration(run)
    if not issubclass(get_class(cfg.method._target_), ENAS):
        raise InputError(f"{run}: a search of {cfg.method_name}; weights are shared in ENAS alone")
    checkpoint = run / "checkpoints" / "last.ckpt"
    for path in (checkpoint, run / "architecture.json"):
        if not path.exists():
            raise InputError(f"{run}: no {path.name}; the search has not ended: resume={run}")
    for setting in settings:
        if not setting.startswith(SETTABLE) or "=" not in setting:
            raise InputError(f"{setting}: legal are {', '.join(SETTABLE)} with a value")
    cfg.merge_with_dotlist(list(settings))
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    data = build_data(cfg)
    trainer = instantiate(
        {**cfg.trainer, "devices": 1, "num_nodes": 1, "strategy": "auto"},
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    method = instantiate(cfg.method, data=data, journal=None)
    _load(method, checkpoint)
    trainer.precision_plugin.convert_module(method)
    return Searched(run, cfg, data, method.to(trainer.strategy.root_device), trainer)


def _load(method: ENAS, path: Path) -> None:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all sorts of them where a file is damaged
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    method.on_load_checkpoint(checkpoint)
    method.load_state_dict(checkpoint["state_dict"])


def draw(
    searched: Searched, architectures: int, sampled: int, seeds: int, derived_seeds: int
) -> list[Candidate]:
    """Return the architectures to be judged; more of them begin with the same ones."""
    controller = searched.method.controller
    uniform = UniformController(controller.space).to(controller.device)
    drawn = [
        Candidate(arm, _drawn(policy, arm, searched.cfg.seed, number), seeds)
        for arm, policy, count in (
            (CONTROL, uniform, architectures),
            (POLICY, controller.controller, sampled),
        )
        for number in range(count)
    ]
    return [*drawn, Candidate(DERIVED, controller.space.encode(searched.derived), derived_seeds)]


def _drawn(policy: Any, arm: str, seed: int, number: int) -> tuple[int, ...]:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(_seed("judged", arm, seed, number))
        return tuple(policy.sample(1).tokens_NT[0].tolist())


def _seed(*key: object) -> int:
    return int(torch.randint(2**62, (), generator=seeded_generator(*key)))


# ---- from scratch --------------------------------------------------------------------------------


def _train(
    searched: Searched,
    candidates: Sequence[Candidate],
    epochs: int,
    settings: Sequence[str],
    poll: Any,
) -> list[list[Trial]]:
    method, space = searched.method, searched.method.controller.space
    assert method.make_evaluator is not None
    assert method.make_executor is not None
    given = " ".join(sorted(one for one in settings if one.startswith(OF_TRAININGS)))
    about = f"{epochs} epochs {given}".strip()
    journal = Journal(searched.run / "judged.sqlite", str(space), "judge", training=about)
    try:
        trainings = Trainings(candidates, journal, searched.cfg.seed)
        with tqdm(total=len(trainings), desc="Training", file=sys.stderr) as bar:
            return trainings.run(
                lambda proposal: space.decode(proposal.tokens),
                method.make_executor(method.make_evaluator(data=searched.data).final(epochs)),
                observe=lambda trial: bar.update() and None,
                poll=poll,
            )
    finally:
        journal.close()


# ---- with the shared weights ---------------------------------------------------------------------


def score(
    searched: Searched, tokens: Sequence[tuple[int, ...]], batches: int, poll: Any = lambda: None
) -> list[dict[str, float]]:
    """Return the accuracy of each architecture on the validation split, by mode of batch norm.

    Args:
        searched: The search.
        tokens: Of the architectures.
        batches: On which running statistics are gathered, where none were tracked.
        poll: Called after each; may raise to stop.
    """
    space, data, trainer = searched.method.controller.space, searched.data, searched.trainer
    architectures = [space.decode(given) for given in tokens]
    data.trainer = trainer
    validation = [trainer.precision_plugin.convert_input(batch) for batch in data.val_dataloader()]
    scores: list[dict[str, float]] = [{} for _ in tokens]
    total = len(MODES) * len(tokens)
    with (
        tqdm(total=total, desc="Scoring", file=sys.stderr) as bar,
        trainer.precision_plugin.forward_context(),
    ):
        for mode in MODES:
            supernet = _in_mode(searched, mode, batches)
            for place, accuracy in enumerate(supernet.rank(validation, architectures)):
                scores[place][mode] = float(accuracy)
                bar.update()
                poll()
    return scores


def _in_mode(searched: Searched, mode: str, batches: int) -> SupernetModule:
    method, trainer = searched.method, searched.trainer

    def build(mode: str) -> SupernetModule:
        cfg = OmegaConf.merge(searched.cfg, {"supernet": {"batch_norm": mode}})
        built: SupernetModule = instantiate(cfg.method.supernet)
        trainer.precision_plugin.convert_module(built)
        return built.to(trainer.strategy.root_device)

    with torch.random.fork_rng():
        supernet = in_mode(mode, build, method.supernet.network.state_dict())
    if mode == "recalibrated":
        images, _ = searched.data.calibration_batch(method.calibration_images)
        supernet.calibration = trainer.precision_plugin.convert_input(images)
    if mode == "running" and not _tracked(method):
        gather(supernet, _training_batches(searched, batches))
    return supernet


def _tracked(method: ENAS) -> bool:
    return tracks(method.supernet.network.state_dict())


def _training_batches(
    searched: Searched, batches: int
) -> Iterator[tuple[Tensor, Tensor, Architecture]]:
    """Yield batches as in training, each with an architecture that is drawn uniformly.

    Uniformly, for those that are judged are: no layer is left out, whatever the controller prefers.
    """
    space = searched.method.controller.space
    uniform, loader = UniformController(space), searched.data.train_dataloader()
    for number in range(batches):
        if number % len(loader) == 0:
            loader.set_epoch(number // len(loader))
            images = iter(loader)
        tokens = _drawn(uniform, "running statistics", searched.cfg.seed, number)
        yield *searched.trainer.precision_plugin.convert_input(next(images)), space.decode(tokens)


# ---- what came out -------------------------------------------------------------------------------


def _judged(
    candidates: Sequence[Candidate],
    shared: Sequence[dict[str, float]],
    trials: Sequence[Sequence[Trial]],
) -> list[Judged]:
    """Return all that could be trained.

    Raises:
        InputError: If too few of the uniform ones could, or the derived one could not.
    """
    judged = []
    for candidate, scores, trained in zip(candidates, shared, trials, strict=True):
        good = [trial.outcome for trial in trained if trial.outcome.error is None]
        if good:
            alone = tuple(outcome.accuracies[-1] for outcome in good)
            tokens, parameters = candidate.tokens, good[0].parameters
            judged.append(Judged(candidate.arm, tokens, scores, alone, parameters))
    arms = [one.arm for one in judged]
    if arms.count(CONTROL) < FEWEST or DERIVED not in arms:
        first = next(t.outcome.error for t in itertools.chain(*trials) if t.outcome.error)
        raise InputError(f"too few architectures could be trained; the first error: {first}")
    return judged


def _failed(
    candidates: Sequence[Candidate], trials: Sequence[Sequence[Trial]]
) -> list[dict[str, Any]]:
    return [
        {"arm": candidate.arm, "tokens": candidate.tokens, "error": trial.outcome.error}
        for candidate, trained in zip(candidates, trials, strict=True)
        for trial in trained
        if trial.outcome.error is not None
    ]


def _write(facts: dict[str, Any], run: Path) -> str:
    """Write the facts and their pictures; return where they are, a line each."""
    paths = [run / f"{NAME}.{suffix}" for suffix in ("json", "svg", "png")]
    try:
        replace_text(paths[0], json.dumps(facts, indent=1) + "\n")
        for path in paths[1:]:
            draw_scatter(facts, path)
    except OSError as error:
        raise InputError(f"{run}: cannot be written into ({error.strerror})") from None
    names = ("figures", "picture", "")
    return "\n".join(f"{name:<14}{shown(p)}" for name, p in zip(names, paths, strict=True))


@contextmanager
def _stopping(searched: Searched) -> Iterator[Any]:
    """Yield what raises after a SIGINT or a SIGTERM, when it is called next."""
    stop = StopAtStep()
    stop.setup(searched.trainer, searched.method, "fit")
    try:
        yield lambda: stop.stop_if_asked(searched.trainer)
    finally:
        stop.teardown(searched.trainer, searched.method, "fit")
