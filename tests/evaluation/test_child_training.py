"""A child's outcome is plain data, whatever the child does."""

import pickle
import time
from functools import partial

import pytest
import torch
from small import synthetic

from lightning_nas.architecture import ChainArchitecture, ChainLayer
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.schedules import cosine, steps

SMALL = ChainArchitecture(
    (ChainLayer((3, 3), (1, 1), 4), ChainLayer((1, 3), (2, 2), 4, inputs=(0,)))
)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)


def training(module=ChildModule, optimizer=SGD, **settings):
    given = {"epochs": 3, "trainer": {"accelerator": "cpu"}, "network": {}} | settings
    return ChildTraining(synthetic(128), partial(module, optimizer=optimizer), cosine, **given)


def test_an_outcome_says_what_was_reached_and_what_it_cost():
    outcome = training()(SMALL, seed=0)
    assert outcome.error is None
    assert len(outcome.accuracies) == 3
    assert outcome.reward == outcome.accuracies[-1]
    assert outcome.parameters == 3 * 9 * 4 + 8 + 4 * 3 * 4 + 8 + 4 * 4 + 4
    assert outcome.multiply_adds == 64 * 3 * 9 * 4 + 16 * 4 * 3 * 4 + 16
    assert outcome.seconds > 0
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_a_child_learns():
    assert training(epochs=20)(SMALL, seed=0).reward > 0.6  # of four classes


def test_the_same_seed_gives_the_same_outcome_and_another_another():
    first, second, other = (training()(SMALL, seed).accuracies for seed in (1, 1, 2))
    assert first == second != other


def test_a_child_below_the_cutoff_of_a_rung_stops_there_and_others_go_on():
    evaluate = training(epochs=4, rungs=[1, 3])
    whole = evaluate(SMALL, 0).accuracies
    stopped = evaluate(SMALL, 0, cutoffs={3: whole[2] + 0.01})
    assert stopped.accuracies == whole[:3]
    assert stopped.error is None
    assert stopped.reward == whole[2]
    assert evaluate(SMALL, 0, cutoffs={1: whole[0], 3: whole[2]}).accuracies == whole


@pytest.mark.parametrize(
    "setting", [{"precision": [["32-true"]]}, {"precision": "99"}, {"accelerator": ["cpu"]}]
)
def test_a_setting_that_the_trainer_refuses_is_an_error_of_the_user(setting):
    with pytest.raises(InputError, match=r"^settings of evaluation\.trainer: "):
        training(epochs=1, trainer={"accelerator": "cpu"} | setting)(SMALL, 0)


def test_an_unknown_setting_of_the_trainer_is_refused_before_any_training():
    with pytest.raises(InputError, match=r"^evaluation\.trainer\.foo is no setting of Lightning's"):
        training(epochs=1, trainer={"accelerator": "cpu", "foo": 1})


def test_finalists_do_not_stop_early():
    assert training(epochs=4, rungs=[1, 3]).final(2).rungs.epochs == ()


@pytest.mark.parametrize("rungs", [[0], [3], [2, 1], [1, 1], [-1]])
def test_rungs_outside_of_the_training_are_refused(rungs):
    with pytest.raises(InputError, match=r"evaluation\.rungs must rise from at least 1 to below"):
        training(epochs=3, rungs=rungs)


def test_the_random_numbers_of_the_search_stay_as_they_are():
    before = torch.get_rng_state()
    training(epochs=1)(SMALL, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("last", "power", "reward"), [(1, 1, 0.5), (2, 1, 0.75), (5, 3, 0.8**3), (3, 2, 0.75**2)]
)
def test_the_reward_is_the_best_of_the_last_epochs_raised_to_a_power(last, power, reward):
    evaluate = training(best_of_last=last, power=power)
    assert evaluate.reward([0.9, 0.8, 0.2, 0.1, 0.75, 0.5]) == pytest.approx(reward)


def test_the_papers_reward_is_the_cube_of_the_best_of_the_last_five():
    outcome = training(epochs=6, best_of_last=5, power=3.0)(SMALL, seed=0)
    assert outcome.reward == pytest.approx(max(outcome.accuracies[-5:]) ** 3)


def test_a_child_that_diverges_has_the_penalty_and_says_so():
    outcome = training(optimizer=partial(torch.optim.SGD, lr=1e30), penalty=0.1)(SMALL, seed=0)
    assert outcome.reward == 0.1
    assert outcome.error is not None
    assert "the loss was" in outcome.error


class Raising(ChildModule):
    """Asks for more memory than there is."""

    def training_step(self, batch, batch_idx):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate"
        )


class Wrong(ChildModule):
    """Has a defect."""

    def training_step(self, batch, batch_idx):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


class Slow(ChildModule):
    """Takes its time."""

    def training_step(self, batch, batch_idx):
        time.sleep(0.3)
        return super().training_step(batch, batch_idx)


class Hanging(ChildModule):
    """Never comes back."""

    def training_step(self, batch, batch_idx):
        time.sleep(60)


def test_a_child_that_runs_out_of_memory_has_the_penalty():
    assert training(module=Raising)(SMALL, seed=0).error == "out of memory"


def test_a_defect_of_the_program_is_no_penalty():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        training(module=Wrong)(SMALL, seed=0)


@pytest.mark.parametrize("module", [Slow, Hanging])
def test_a_child_ends_at_its_time_limit(module):
    began = time.monotonic()
    outcome = training(module=module, time_limit=0.7, epochs=50)(SMALL, seed=0)
    assert outcome.error == "longer than 0.7 s"
    assert outcome.reward == 0
    assert time.monotonic() - began < 10


def test_the_search_is_asked_whether_to_stop_while_a_child_trains():
    class StopError(BaseException):
        pass

    def poll():
        raise StopError

    with pytest.raises(StopError):
        training()(SMALL, 0, poll)


def test_latency_is_measured_where_it_is_asked_for():
    assert training(epochs=1)(SMALL, 0).latency is None
    assert training(epochs=1, latency=True)(SMALL, 0).latency > 0


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_latency_is_measured_in_any_precision(precision):
    settings = {"accelerator": "cpu", "precision": precision}
    assert training(epochs=1, latency=True, trainer=settings)(SMALL, 0).latency > 0


def test_finalists_have_as_much_more_time():
    assert training(epochs=2, time_limit=10.0).final(6).time_limit == 30.0


def test_finalists_train_longer():
    evaluate = training(epochs=1)
    assert len(evaluate.final(4)(SMALL, 0).accuracies) == 4
    assert len(evaluate(SMALL, 0).accuracies) == 1


@pytest.mark.parametrize(
    "settings", [{"best_of_last": 0}, {"power": 0}, {"penalty": 2}, {"epochs": 0},
                 {"time_limit": 0}]
)  # fmt: skip
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match=f"evaluation.*{next(iter(settings))}"):
        training(**settings)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [(partial(cosine, lowest=0.0), [1, 0.8536, 0.5, 0.1464]), (steps, [1, 1, 0.1, 0.01])],
)
def test_schedules_fit_the_number_of_epochs(schedule, rates):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plan = schedule(optimizer, epochs=4)
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plan.step()
    assert seen == pytest.approx(rates, abs=1e-4)
