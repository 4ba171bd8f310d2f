"""ENAS as one fit: who learns when, when it stops, and the curves it had when it was written."""

import dataclasses
import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from lightning_nas.search.random_arm import RandomArm
from pytorch_lightning.loggers import CSVLogger
from scipy.stats import chisquare

from lightning_nas.callbacks.derive import DeriveArchitecture
from lightning_nas.callbacks.saving import RandomStates, SaveEpoch
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.methods.enas import ENAS, LONGEST_ROW
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.search.result import RankedArchitecture
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Outcome, best_of
from tests.small import enas, trainer

GOLDEN = Path(__file__).with_name("golden.json")  # python -m tests.methods.test_enas writes it
METRICS = ("weights/loss", "controller/loss", "controller/reward", "controller/entropy")


class WhoMoves(pl.Callback):
    """Notes, for each step, which of the pair have changed."""

    def __init__(self):
        self.moves = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = self.states(module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        changed = [
            name
            for name, state in self.states(module).items()
            if any(not torch.equal(state[key], self.before[name][key]) for key in state)
        ]
        self.moves.append((batch[0], changed))

    @staticmethod
    def states(module):
        pair = {"weights": module.supernet, "controller": module.controller}
        return {
            name: {key: value.nan_to_num(-1.0) for key, value in module.state_dict().items()}
            for name, module in pair.items()  # the baseline is not a number until its first reward
        }


@pytest.mark.parametrize("batch_norm", ["batch", "running", "recalibrated"])
@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_each_phase_moves_its_own_half_and_no_bit_of_the_other(kind, batch_norm, tmp_path):
    pl.seed_everything(0, verbose=False)
    who = WhoMoves()
    trainer(tmp_path, 1, [who]).fit(enas(kind, batch_norm=batch_norm))
    assert {phase for phase, _ in who.moves} == {"weights", "control", "controller"}
    assert all(changed == [phase] for phase, changed in who.moves if phase != "control")
    assert all(changed == [] for phase, changed in who.moves if phase == "control")


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_what_was_searched_in_any_precision_is_derived(precision, tmp_path):
    pl.seed_everything(0, verbose=False)
    derive = DeriveArchitecture(tmp_path, samples=2)
    module = enas("cell", batch_norm="recalibrated")
    trainer(tmp_path, 1, [derive], precision=precision).fit(module)
    assert 0 <= derive.derived.reward <= 1
    assert (tmp_path / "architecture.json").exists()


class Depths:
    """Evaluates from scratch: the more skips, the better; counts how often, and for how long."""

    def __init__(self, data):
        self.trained = []

    def final(self, epochs):
        def longer(architecture, seed, poll):
            self.trained.append(epochs)
            return Outcome(sum(map(len, (layer.skips for layer in architecture.layers))) / 10)

        return longer


def searched(folder, epochs=2, checkpoint=None, **settings):
    """Return the method after a search with a journal, which stays open."""
    pl.seed_everything(0, verbose=False)
    module = enas(journal=folder / "trials.sqlite", **settings)
    module.teardown = lambda stage: None
    derive = DeriveArchitecture(folder, samples=5)
    call = [RandomStates(), derive, SaveEpoch(folder)]
    trainer(folder, epochs, call, enable_checkpointing=True).fit(
        module, ckpt_path=checkpoint, weights_only=True
    )
    return module, derive.derived


def test_all_that_the_controller_sampled_is_in_the_journal(tmp_path):
    module, derived = searched(tmp_path)
    trials = module.journal.ended()
    arms = [trial.proposal.arm for trial in trials]
    epoch = [RANDOM] * 2 + [POLICY] * 6
    assert arms == 2 * epoch + [DERIVED] * 5 + [RANDOM] * 5
    steps = [trial.proposal.step for trial in trials[:16]]
    assert steps == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5]
    last = trials[16:21]
    assert [trial.reward for trial in last] == list(derived.sampled)
    assert derived.reward == max(derived.sampled)
    rollout = module.controller.score([trial.proposal.tokens for trial in last])
    for trial, log_prob in zip(last, rollout.log_prob_N.tolist(), strict=True):
        assert trial.proposal.log_prob == pytest.approx(log_prob, abs=1e-4)
    assert module.scored == 26


def test_the_control_arm_changes_no_bit_of_the_search(tmp_path):
    with_control, derived = searched(tmp_path / "with", control_steps=2)
    without, alone = searched(tmp_path / "without", control_steps=0)
    for name, value in with_control.state_dict().items():
        assert torch.equal(value, without.state_dict()[name]), name
    assert derived == replaced(alone, derived)
    ended = [m.journal.ended() for m in (with_control, without)]
    policy = [[t for t in trials if t.proposal.arm == POLICY] for trials in ended]
    assert [t.proposal.tokens for t in policy[0]] == [t.proposal.tokens for t in policy[1]]
    assert [t.reward for t in policy[0]] == [t.reward for t in policy[1]]
    arms = [[t.proposal.arm for t in trials].count(RANDOM) for trials in ended]
    assert arms == [2 * 2 * 2 + 5, 5]


def replaced(derived, other):
    """What was derived, with the trials' numbers of another: those of the control arm count."""
    renumbered = [
        RankedArchitecture(mine.architecture, theirs.trial)
        for mine, theirs in zip(derived.top, other.top, strict=True)
    ]
    assert [r.trial.reward for r in derived.top] == [r.trial.reward for r in renumbered]
    return dataclasses.replace(derived, top=tuple(renumbered))


def test_the_control_arm_is_drawn_uniformly(tmp_path):
    arm = RandomArm(MacroSpace(layers=4), samples=500, seed=3)
    tokens_NT = arm.sample(epoch=0, step=0, rank=0)[0].tokens_NT
    for tokens_N, options in zip(tokens_NT.T, MacroSpace(layers=4).token_options(), strict=True):
        counts = tokens_N.bincount(minlength=options)
        assert chisquare(counts.tolist()).pvalue > 1e-3
    others = [{"epoch": 1}, {"step": 1}, {"rank": 1}]
    for other in others:
        drawn = arm.sample(**{"epoch": 0, "step": 0, "rank": 0, **other})[0]
        assert not torch.equal(drawn.tokens_NT, tokens_NT)


def test_a_uniform_controller_has_no_control_arm(tmp_path):
    module = enas()
    uniform = ControllerModule(
        UniformController(module.controller.space), module.controller.baseline, torch.optim.Adam
    )
    assert ENAS(module.supernet, uniform, module.data, control_steps=4).control_steps == 0


def test_a_resumed_search_writes_nothing_twice(tmp_path):
    first, _ = searched(tmp_path / "broken", epochs=1)
    first.journal.close()
    resumed, derived = searched(
        tmp_path / "broken", epochs=2, checkpoint=tmp_path / "broken" / "last.ckpt"
    )
    unbroken, whole = searched(tmp_path / "unbroken", epochs=2)
    assert resumed.journal.ended() == unbroken.journal.ended()
    assert derived == whole


def test_the_finalists_are_trained_from_scratch_and_the_choice_is_theirs(tmp_path):
    evaluator = Depths(None)
    module, derived = searched(
        tmp_path,
        evaluation=lambda data: evaluator,
        executor=SerialExecutor,
        finalists=2,
        finalist_epochs=7,
    )
    assert evaluator.trained == [7, 7]
    finalists = module.journal.best((FINALIST,), 9)
    best = {trial.proposal.tokens for trial in best_of(module.journal.ended()[16:21], 2)}
    assert {trial.proposal.tokens for trial in finalists} == best
    assert derived.reward == max(trial.reward for trial in finalists)
    assert derived.top[0].architecture == derived.architecture
    module.journal.close()
    searched(
        tmp_path,
        checkpoint=tmp_path / "last.ckpt",
        evaluation=lambda data: evaluator,
        executor=SerialExecutor,
        finalists=2,
        finalist_epochs=7,
    )
    assert evaluator.trained == [7, 7]  # those that the journal has are not trained again


class Breaks(SupernetModule):
    """Shared weights whose loss is not a number after the first epoch."""

    def loss(self, images, labels, architecture):
        loss, metrics = super().loss(images, labels, architecture)
        return (loss * float("nan") if self.trainer.current_epoch else loss), metrics


def test_ten_steps_without_finite_gradients_stop_the_search_with_the_checkpoint_of_before(tmp_path):
    pl.seed_everything(0, verbose=False)
    module = enas(images=320, supernet=Breaks)
    assert len(module.data.train_dataloader()) > LONGEST_ROW
    with pytest.raises(InputError, match="were not finite"):
        trainer(tmp_path, 3, [SaveEpoch(tmp_path)], enable_checkpointing=True).fit(module)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    for name, value in module.state_dict().items():
        if name.startswith("supernet"):
            assert torch.equal(value, checkpoint["state_dict"][name]), name


class Curves(pl.Callback):
    """Notes the metrics of every step."""

    def __init__(self):
        self.curves = {name: [] for name in METRICS}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        for name, curve in self.curves.items():
            if name.startswith(batch[0]):
                curve.append(float(trainer.logged_metrics[f"{name}_step"]))


def twenty_steps(kind, folder):
    """The curves of 16 steps of the weights and 4 of the controller, in double precision."""
    pl.seed_everything(0, verbose=False)
    curves = Curves()
    module = enas(kind, images=432, controller_steps=4, control_steps=0)
    settings = {"precision": "64-true", "log_every_n_steps": 1, "logger": CSVLogger(folder)}
    trainer(folder, 1, [curves], **settings).fit(module)
    return curves.curves


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_the_first_twenty_steps_are_what_they_were(kind, tmp_path):
    curves = twenty_steps(kind, tmp_path)
    assert [len(curve) for curve in curves.values()] == [16, 4, 4, 4]
    for name, golden in json.loads(GOLDEN.read_text())[kind].items():
        assert curves[name] == pytest.approx(golden, rel=1e-6), name


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        curves = {kind: twenty_steps(kind, folder) for kind in ("macro", "cell")}
    GOLDEN.write_text(json.dumps(curves, indent=1) + "\n")
