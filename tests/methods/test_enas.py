"""ENAS as one fit: its phases, its journal, its checks, and its first curves."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from scipy.stats import chisquare

from benchmarks.experiment import experiment
from lightning_nas.callbacks.derive import DeriveArchitecture
from lightning_nas.callbacks.saving import RandomStates, SaveEpoch
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.seeding import make_generator
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.run.build import build_search
from lightning_nas.search.alternating import EpochSettings
from lightning_nas.search.finalists import Finalists
from lightning_nas.search.processes import check_precision
from lightning_nas.search.result import RankedArchitecture
from lightning_nas.search.samples import RandomArm
from lightning_nas.search.shared_search import LONGEST_ROW
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Outcome, best_of
from tests.small import enas, synthetic, trainer

GOLDEN = Path(__file__).with_name("golden.json")  # python -m tests.methods.test_enas writes it
METRICS = ("weights/loss", "controller/loss", "controller/reward", "controller/entropy")


class RecordChanges(pl.Callback):
    """Callback that records, for each step, whether weights and controller change."""

    def __init__(self):
        self.steps = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = self.states(module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        changed = [
            name
            for name, state in self.states(module).items()
            if any(not torch.equal(state[key], self.before[name][key]) for key in state)
        ]
        self.steps.append((batch[0], changed))

    @staticmethod
    def states(module):
        pair = {"weights": module.supernet, "controller": module.controller}
        return {
            name: {key: value.nan_to_num(-1.0) for key, value in module.state_dict().items()}
            for name, module in pair.items()  # the baseline is nan until its first reward
        }


@pytest.mark.parametrize("batch_norm", ["batch", "running", "recalibrated"])
@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_each_phase_changes_only_its_own_parameters(kind, batch_norm, tmp_path):
    pl.seed_everything(0, verbose=False)
    changes = RecordChanges()
    trainer(tmp_path, 1, [changes]).fit(enas(kind, batch_norm=batch_norm))
    assert {phase for phase, _ in changes.steps} == {"weights", "control", "controller"}
    assert all(changed == [phase] for phase, changed in changes.steps if phase != "control")
    assert all(changed == [] for phase, changed in changes.steps if phase == "control")


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_a_search_in_any_precision_derives_an_architecture(precision, tmp_path):
    pl.seed_everything(0, verbose=False)
    module = enas("cell", batch_norm="recalibrated")
    trainer(tmp_path, 1, [DeriveArchitecture(tmp_path, samples=2)], precision=precision).fit(module)
    assert 0 <= module.result.reward <= 1
    assert (tmp_path / "architecture.json").exists()


class CountSkips:
    """Evaluator whose reward grows with the skips; it records the epochs of each training."""

    def __init__(self):
        self.trained = []

    def final(self, epochs):
        def longer(architecture, seed, poll):
            self.trained.append(epochs)
            return Outcome(sum(map(len, (layer.skips for layer in architecture.layers))) / 10)

        return longer


def run_search(folder, epochs=2, checkpoint=None, save_seconds=0.0, extra=(), **settings):
    """Return a search after its end, with an open journal, and its result."""
    pl.seed_everything(0, verbose=False)
    module = enas(journal=folder / "trials.sqlite", **settings)
    module.teardown = lambda stage: None
    derive, save = DeriveArchitecture(folder, samples=5), SaveEpoch(folder, save_seconds)
    callbacks = [RandomStates(), derive, save, *extra]
    trainer(folder, epochs, callbacks, enable_checkpointing=True).fit(
        module, ckpt_path=checkpoint, weights_only=True
    )
    return module, module.result


def test_the_journal_holds_all_sampled_architectures(tmp_path):
    module, result = run_search(tmp_path)
    trials = module.journal.list_ended()
    arms = [trial.proposal.arm for trial in trials]
    epoch = [RANDOM] * 2 + [POLICY] * 6
    assert arms == 2 * epoch + [DERIVED] * 5 + [RANDOM] * 5
    steps = [trial.proposal.step for trial in trials[:16]]
    assert steps == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5]
    last = trials[16:21]
    assert [trial.reward for trial in last] == list(result.sampled)
    assert result.reward == max(result.sampled)
    rollout = module.controller.score([trial.proposal.tokens for trial in last])
    for trial, log_prob in zip(last, rollout.log_prob_N.tolist(), strict=True):
        assert trial.proposal.log_prob == pytest.approx(log_prob, abs=1e-4)
    assert module.scored == 26


def test_the_random_arm_does_not_change_the_search(tmp_path):
    with_arm, result = run_search(tmp_path / "with", random_steps=2)
    without, alone = run_search(tmp_path / "without", random_steps=0)
    for name, value in with_arm.state_dict().items():
        assert torch.equal(value, without.state_dict()[name]), name
    assert result == renumber(alone, result)
    ended = [m.journal.list_ended() for m in (with_arm, without)]
    policy = [[t for t in trials if t.proposal.arm == POLICY] for trials in ended]
    assert [t.proposal.tokens for t in policy[0]] == [t.proposal.tokens for t in policy[1]]
    assert [t.reward for t in policy[0]] == [t.reward for t in policy[1]]
    arms = [[t.proposal.arm for t in trials].count(RANDOM) for trials in ended]
    assert arms == [2 * 2 * 2 + 5, 5]


def renumber(result, other):
    """Return a result with the trial numbers of another: the random arm has numbers too."""
    renumbered = [
        RankedArchitecture(mine.architecture, theirs.trial)
        for mine, theirs in zip(result.top, other.top, strict=True)
    ]
    assert [r.trial.reward for r in result.top] == [r.trial.reward for r in renumbered]
    return dataclasses.replace(result, top=tuple(renumbered))


def test_the_random_arm_is_uniform(tmp_path):
    arm = RandomArm(MacroSpace(layers=4), samples=500, seed=3)
    tokens_NT = arm.sample(epoch=0, step=0, rank=0)[0].tokens_NT
    for tokens_N, options in zip(
        tokens_NT.T, MacroSpace(layers=4).count_token_options(), strict=True
    ):
        counts = tokens_N.bincount(minlength=options)
        assert chisquare(counts.tolist()).pvalue > 1e-3
    others = [{"epoch": 1}, {"step": 1}, {"rank": 1}]
    for other in others:
        rollout = arm.sample(**{"epoch": 0, "step": 0, "rank": 0, **other})[0]
        assert not torch.equal(rollout.tokens_NT, tokens_NT)


def test_a_uniform_controller_has_no_random_arm(tmp_path):
    module = enas()
    uniform = ControllerModule(
        UniformController(module.controller.space), module.controller.baseline, torch.optim.Adam
    )
    search = ENAS(module.supernet, uniform, module.data, EpochSettings(random_steps=4))
    assert search.random_steps == 0


def test_a_resumed_search_equals_an_uninterrupted_one(tmp_path):
    first, _ = run_search(tmp_path / "interrupted", epochs=1)
    first.journal.close()
    resumed, result = run_search(
        tmp_path / "interrupted", epochs=2, checkpoint=tmp_path / "interrupted" / "last.ckpt"
    )
    uninterrupted, whole = run_search(tmp_path / "uninterrupted", epochs=2)
    assert resumed.journal.list_ended() == uninterrupted.journal.list_ended()
    assert result == whole


class StopInLastEpoch(pl.Callback):
    """Callback that interrupts the third epoch, two epochs after the only checkpoint."""

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2:
            module.journal.close()
            raise KeyboardInterrupt


def test_a_search_resumed_from_an_older_epoch_equals_an_uninterrupted_one(tmp_path):
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_search(tmp_path / "a", 3, save_seconds=1e9, extra=[StopInLastEpoch()])
    checkpoint = tmp_path / "a" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 0
    resumed, result = run_search(tmp_path / "a", 3, checkpoint, save_seconds=1e9)
    uninterrupted, whole = run_search(tmp_path / "b", 3)
    assert resumed.journal.list_ended() == uninterrupted.journal.list_ended()
    assert result == whole
    for name, value in uninterrupted.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_search_refuses_a_precision_that_scales_the_loss(tmp_path):
    plugin = SimpleNamespace(scaler=object())
    search_trainer = SimpleNamespace(precision_plugin=plugin, precision="16-mixed")
    with pytest.raises(InputError, match=r"=16-mixed: .*=bf16-mixed"):
        check_precision(search_trainer)


def test_a_validation_epoch_samples_once(tmp_path, monkeypatch):
    module, calls = enas(controller_steps=0, random_steps=0), []
    sample = module.controller.sample
    monkeypatch.setattr(module.controller, "sample", lambda n: calls.append(n) or sample(n))
    trainer(tmp_path, 1, num_sanity_val_steps=0).fit(module)
    assert len(module.data.val_dataloader()) > 1
    assert len(calls) == 2  # for the weights phase and for the validation


def test_in_the_warm_up_only_uniform_architectures_train_the_weights(tmp_path, monkeypatch):
    changes, sampled = RecordChanges(), []
    pl.seed_everything(0, verbose=False)
    module = enas("cell", epoch={"warmup_epochs": 2})
    sample = module.controller.sample
    monkeypatch.setattr(
        module.controller, "sample", lambda n: sampled.append(module.current_epoch) or sample(n)
    )
    trainer(tmp_path, 3, [changes], num_sanity_val_steps=0).fit(module)
    epoch = len(changes.steps) // 3
    warm_up, learning = changes.steps[: 2 * epoch], changes.steps[2 * epoch :]
    assert {name for _, changed in warm_up for name in changed} == {"weights"}
    assert {name for _, changed in learning for name in changed} == {"weights", "controller"}
    assert set(sampled) == {2}


def test_the_first_trial_after_the_warm_up_comes_before_the_first_update(tmp_path):
    module, _ = run_search(tmp_path, epochs=3, epoch={"warmup_epochs": 2})
    steps = [t.proposal.step for t in module.journal.list_ended() if t.proposal.arm == POLICY]
    assert steps == [0, 0, 1, 1, 2, 2]


def test_a_warm_up_as_long_as_the_search_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"warmup_epochs=2 must be below trainer.max_epochs=2"):
        trainer(tmp_path, 2).fit(enas(epoch={"warmup_epochs": 2}))


@pytest.mark.parametrize("same_images", [False, True])
def test_a_step_scores_on_shares_of_the_images_or_on_the_same_images(same_images, monkeypatch):
    module = enas(epoch={"same_images": same_images})
    (images, labels) = next(iter(module.data.train_dataloader()))
    _, architectures = module.random_arm.sample(0, 0, 0)
    seen = []
    monkeypatch.setattr(
        module.supernet, "_accuracy", lambda batches, _: seen.extend(batches) or torch.zeros(())
    )
    assert module._score(images, labels, architectures).shape == (2,)
    whole = [(images, labels)] * 2
    shares = list(zip(images.chunk(2), labels.chunk(2), strict=True))
    for (given, its_labels), (expected, expected_labels) in zip(
        seen, whole if same_images else shares, strict=True
    ):
        assert torch.equal(given, expected)
        assert torch.equal(its_labels, expected_labels)
    assert module.shares == (1 if same_images else 2)


def search_with_finalists(tmp_path, evaluator, finalists, **more):
    return run_search(
        tmp_path,
        evaluation=lambda data: evaluator,
        executor=SerialExecutor,
        finalists=finalists,
        **more,
    )


def test_finalists_are_trained_from_scratch_and_the_best_finalist_is_chosen(tmp_path):
    evaluator = CountSkips()
    module, result = search_with_finalists(tmp_path, evaluator, Finalists(2, 7))
    assert evaluator.trained == [7, 7]
    finalists = module.journal.best((FINALIST,), 9)
    best = {trial.proposal.tokens for trial in best_of(module.journal.list_ended()[16:21], 2)}
    assert {trial.proposal.tokens for trial in finalists} == best
    assert result.reward == max(trial.reward for trial in finalists)
    assert result.top[0].architecture == result.architecture
    module.journal.close()
    checkpoint = tmp_path / "last.ckpt"
    search_with_finalists(tmp_path, evaluator, Finalists(2, 7), checkpoint=checkpoint)
    assert evaluator.trained == [7, 7]  # finalists in the journal are not trained again


def test_finalists_may_have_several_trainings_each_whose_mean_counts(tmp_path):
    evaluator = CountSkips()
    module, result = search_with_finalists(tmp_path, evaluator, Finalists(2, 7, seeds=3))
    assert evaluator.trained == [7] * 6
    assert len(module.journal.best((FINALIST,), 9)) == 2
    assert result.how.endswith("finalists trained from scratch for 7 epochs (mean of 3 trainings)")


def test_the_final_ranking_uses_batches_of_the_size_of_the_rewards(tmp_path):
    """Batch norm scores with the statistics of the batch: another size gives other accuracies."""
    module = enas(images=160)  # 32 validation images, 8 for each reward, batches of 16
    module.trainer = trainer(tmp_path, 1)
    module.setup("fit")
    sizes = []
    score = module.supernet.network.forward
    module.supernet.network.forward = lambda images, architecture: (
        sizes.append(len(images)) or score(images, architecture)
    )
    rollout, architectures = module.controller.sample(2)
    _, accuracies = module.rank(rollout.tokens_NT, lambda items, total, name: items)
    assert sizes == [8] * 8
    batches = list(module.data.val_dataloader(8))
    scores = [
        torch.stack([module.supernet.score(*batch, [one]) for batch in batches]).mean().item()
        for one in architectures
    ]
    assert accuracies == pytest.approx(scores)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_the_seeds_of_finalists_depend_on_the_seed_of_the_search(seed, tmp_path):
    module = enas(epoch_seed=seed)
    seeds = [module.choose_seed(number) for number in range(5)]
    expected = [hash_seed(seed, number) for number in range(5)]
    assert seeds == (list(range(5)) if seed is None else expected)


def hash_seed(seed, number):
    generator = make_generator("evaluation", seed, number)
    return int(torch.randint(2**31, (), generator=generator))


def test_each_seed_has_its_own_random_arm_and_finalists_even_with_one_split(tmp_path):
    """``data.seed`` stays, as in ``search.py -m seed=0,1 data.seed=0``."""
    searches = [
        build_search(
            experiment(["experiment=enas_micro_digits", f"seed={seed}", "data.seed=0",
                        "supernet.num_classes=4", "supernet.channels=3",
                        "supernet.image_size=8"]).method,
            synthetic(64),
        )
        for seed in (0, 1)
    ]  # fmt: skip
    tokens = [search.random_arm.sample(0, 0, 0)[0].tokens_NT for search in searches]
    assert not torch.equal(*tokens)
    assert searches[0].choose_seed(7) != searches[1].choose_seed(7)


class Diverging(SupernetModule):
    """Shared weights whose loss is nan after the first epoch."""

    def loss(self, images, labels, architecture):
        loss, metrics = super().loss(images, labels, architecture)
        return (loss * float("nan") if self.trainer.current_epoch else loss), metrics


def test_ten_steps_without_finite_gradients_stop_the_search_and_keep_the_checkpoint(tmp_path):
    pl.seed_everything(0, verbose=False)
    module = enas(images=320, supernet=Diverging)
    assert len(module.data.train_dataloader()) > LONGEST_ROW
    with pytest.raises(InputError, match="were not finite"):
        trainer(tmp_path, 3, [SaveEpoch(tmp_path)], enable_checkpointing=True).fit(module)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    for name, value in module.state_dict().items():
        if name.startswith("supernet"):
            assert torch.equal(value, checkpoint["state_dict"][name]), name


def test_a_whole_epoch_without_finite_gradients_stops_a_short_search(tmp_path):
    module = enas(images=128, supernet=Diverging)
    assert len(module.data.train_dataloader()) < LONGEST_ROW
    with pytest.raises(InputError, match="were not finite"):
        trainer(tmp_path, 2).fit(module)


class Curves(pl.Callback):
    """Callback that records the metrics of every step."""

    def __init__(self):
        self.curves = {name: [] for name in METRICS}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        for name, curve in self.curves.items():
            if name.startswith(batch[0]):
                curve.append(float(trainer.logged_metrics[f"{name}_step"]))


def record_curves(kind, folder):
    """Return the curves of 16 weights steps and 4 controller steps, in double precision."""
    pl.seed_everything(0, verbose=False)
    curves = Curves()
    module = enas(kind, images=432, controller_steps=4, random_steps=0)
    settings = {"precision": "64-true", "log_every_n_steps": 1, "logger": CSVLogger(folder)}
    trainer(folder, 1, [curves], **settings).fit(module)
    return curves.curves


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_the_first_twenty_steps_equal_the_golden_curves(kind, tmp_path):
    curves = record_curves(kind, tmp_path)
    assert [len(curve) for curve in curves.values()] == [16, 4, 4, 4]
    for name, golden in json.loads(GOLDEN.read_text())[kind].items():
        assert curves[name] == pytest.approx(golden, rel=1e-6), name


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        curves = {kind: record_curves(kind, folder) for kind in ("macro", "cell")}
    GOLDEN.write_text(json.dumps(curves, indent=1) + "\n")
