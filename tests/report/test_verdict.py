"""The verdict of a report: it cannot be fooled by luck, and it sees a planted success."""

import json
import math
import re
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.verdict import count_answers
from lightning_nas.errors import InputError
from lightning_nas.report.group_pairs import compare_groups, describe_pairs
from lightning_nas.report.groups import describe_group_verdict, group_runs
from lightning_nas.report.judged import list_comparisons
from lightning_nas.report.record import read_run
from lightning_nas.report.statistics import BETTER
from lightning_nas.report.verdict import (
    describe_short_search,
    describe_verdict,
    measure_entropy_fall,
)
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from tests.report.folders import growing_search, judge_search, shared_search, trial_search

SEEDS = range(20)
SPREAD = 0.03  # standard deviation of random architectures
NOISE = 0.01  # standard deviation of a training over seeds


def sample_accuracies(random, derived, count=20, seeds=5):
    """Return accuracies of a derived architecture and of random ones around 0.9."""
    own = derived + NOISE * random.normal(size=seeds)
    others = 0.9 + np.hypot(SPREAD, NOISE) * random.normal(size=count)
    return own.tolist(), others.tolist()


def judged(folder, derived, random_arm, **settings):
    return read_run(judge_search(shared_search(folder, **settings), derived, random_arm))


def test_twenty_frozen_policies_get_at_most_one_yes(tmp_path):
    random = np.random.default_rng(0)
    answers = []
    for seed in SEEDS:  # the derived architecture of a frozen policy is a lucky or unlucky one
        accuracies = sample_accuracies(random, 0.9 + SPREAD * random.normal())
        record = judged(tmp_path / str(seed), *accuracies, learns=False, seed=seed, gain=0.3)
        answers.append(describe_verdict(record).answer)
    assert answers.count("Yes.") <= 1
    assert "Cannot tell." in answers


def test_twenty_good_policies_get_at_least_eighteen_yes(tmp_path):
    random = np.random.default_rng(1)
    answers = [
        describe_verdict(
            judged(tmp_path / str(seed), *sample_accuracies(random, 0.9 + 1.5 * SPREAD))
        ).answer
        for seed in SEEDS
    ]
    assert answers.count("Yes.") >= 18


def test_twenty_frozen_and_twenty_good_searches_by_trials(tmp_path):
    frozen, good = (
        [
            describe_verdict(
                read_run(trial_search(tmp_path / f"{learns}-{seed}", seed=seed, learns=learns))
            ).answer
            for seed in SEEDS
        ]
        for learns in (False, True)
    )
    assert frozen.count("Yes.") <= 1
    assert good.count("Yes.") >= 18


def test_the_benchmark_of_the_verdict_shows_the_same():
    settings = {"architectures": 20, "trainings": 1, "seeds": 5, "spread": SPREAD, "noise": NOISE,
                "effect": 1.5}  # fmt: skip
    assert count_answers("frozen", 20, settings)["Yes."] <= 1
    assert count_answers("good", 20, settings)["Yes."] >= 18


def at_entropy(folder, share, **settings):
    """Return a search with shared weights whose entropy is a share of that of uniform sampling."""
    record = read_run(shared_search(folder, **settings))
    entropy = share * math.log(record.space.size)
    rows = tuple({**row, "controller/entropy_epoch": entropy} for row in record.metrics)
    lengths = {"trainer": {"max_epochs": 9}, "minutes": 10}
    return replace(record, metrics=rows, config={**record.config, **lengths})


def test_a_controller_that_samples_uniformly_at_the_end_has_hardly_learned(tmp_path):
    record = at_entropy(tmp_path / "run", 0.999)
    assert describe_short_search(record) == (
        "The controller has hardly learned: at the end, its entropy is 99.9% of that of uniform "
        "sampling. The search may be too short. To search longer, raise minutes (it was 10)."
    )
    unbound = replace(record, config={**record.config, "minutes": None})
    assert describe_short_search(unbound).endswith("raise trainer.max_epochs (it was 9).")
    assert describe_short_search(replace(record, summary={})) == ""  # it may still learn
    assert describe_short_search(at_entropy(tmp_path / "learned", 0.9)) == ""


def test_a_controller_whose_rewards_are_those_of_guessing_has_hardly_learned(tmp_path):
    record = at_entropy(tmp_path / "run", 0.9)
    summary = {**record.summary, "largest_share": 0.8}
    words = describe_short_search(replace(record, summary=summary))
    assert re.search(
        r"its mean reward, 6\d\.\d\d%, is not measurably above .* guessing, 80\.00%\.", words
    )
    assert "too short" not in describe_short_search(at_entropy(tmp_path / "one", 0.9, same=True))


def test_a_search_by_trials_that_was_too_short_names_its_samples(tmp_path):
    record = read_run(trial_search(tmp_path / "run"))
    metrics = ({"epoch": 0, "controller/entropy": math.log(5**6)},)
    config = {**record.config, "method": {**record.config["method"], "samples": 120}}
    words = describe_short_search(replace(record, metrics=metrics, config=config))
    assert words.endswith("To search longer, raise method.samples (it was 120).")


def test_shared_weights_alone_give_no_verdict(tmp_path):
    verdict = describe_verdict(read_run(shared_search(tmp_path / "run", gain=0.3)))
    assert verdict.answer == "Not judged yet."
    assert "weights were trained on samples of the controller" in verdict.words
    assert verdict.command == f"python -m lightning_nas.judge {tmp_path / 'run'}"
    assert str(verdict).endswith(f"from scratch: {verdict.command}")


@pytest.mark.parametrize(
    ("accuracies", "settings", "answer", "reason"),
    [
        ([0.95, 0.9], {}, "Yes.", "better than 100% of them"),
        ([0.91, 0.9], {}, "Cannot tell.", "better than only"),
        (
            [0.95, 0.9],
            {"learns": False},
            "Cannot tell.",
            "the controller has not fallen",
        ),
        ([0.95, 0.9], {"classes": 1}, "Cannot tell.", "not measurably above that of guessing"),
        ([0.9, 0.9], {}, "No better.", "excludes a gain of"),
        ([0.85, 0.9], {}, "No, it did worse.", "worse than the random arm"),
    ],
)
def test_each_condition_of_a_yes(accuracies, settings, answer, reason, tmp_path):
    derived, mean = accuracies
    spread = np.linspace(-0.02, 0.02, 20)
    random_arm, seeds = (mean + spread).tolist(), (derived + spread[::4] / 10).tolist()
    verdict = describe_verdict(judged(tmp_path / "run", seeds, random_arm, **settings))
    assert verdict.answer == answer
    assert reason in verdict.words
    assert str(verdict).startswith("Did the search beat random search? ")


def test_a_wide_interval_cannot_tell(tmp_path):
    derived = [0.8, 0.85, 0.9, 0.95, 1.0]
    random_arm = [0.86, 0.88, 0.9, 0.92, 0.94]
    verdict = describe_verdict(judged(tmp_path / "run", derived, random_arm))
    assert (verdict.answer, verdict.tone) == ("Cannot tell.", "")
    assert "too wide to tell" in verdict.words


@pytest.mark.parametrize(
    ("judgement", "reason"),
    [
        (lambda folder: judge_search(folder, [0.95] * 5, [0.9] * 20, images="validation"), "judge"),
        (lambda folder: judge_search(folder, [0.95], [0.9] * 20), "--derived-seeds 5"),
    ],
)
def test_a_judgement_that_cannot_decide_names_the_command(judgement, reason, tmp_path):
    verdict = describe_verdict(read_run(judgement(shared_search(tmp_path / "run"))))
    assert verdict.answer == "Not judged yet."
    assert reason in verdict.command


def test_few_random_networks_cannot_decide_and_the_advice_says_how_many(tmp_path):
    record = judged(tmp_path / "run", [0.95] * 5, [0.9] * 4)
    assert "--architectures 20 --derived-seeds 5" in describe_verdict(record).command


def test_other_shared_weights_are_a_row_beside_the_others_and_do_not_decide(tmp_path):
    folder = judge_search(shared_search(tmp_path / "run", gain=0.3), [0.9] * 5, [0.9] * 20)
    path = folder / "weight_sharing.json"
    scored = [
        {"arm": arm, "tokens": [number], "accuracy": accuracy + number / 1000}
        for arm, accuracy in (("derived", 0.8), ("control", 0.7))
        for number in range(10)
    ]
    facts = json.loads(path.read_text()) | {
        "uniform_weights": {"epochs": 3, "architectures": scored}
    }
    path.write_text(json.dumps(facts))
    record = read_run(folder)
    networks, uniform, *shared = list_comparisons(record)
    assert networks.when == "trained from scratch"
    assert uniform.when == "shared weights trained on uniform samples, ranking at the end"
    assert uniform.difference.value == pytest.approx(0.1)
    assert uniform.difference.verdict == BETTER
    assert all(one.when.startswith("shared weights, ") for one in shared)
    assert describe_verdict(record).answer != "Yes."


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": None},
        {"architectures": [{"arm": "derived", "alone": []}]},
        {"architectures": [{"arm": "derived", "alone": [1.5]}]},
        {"architectures": [{"arm": "derived", "alone": ["0.9"]}]},
        {"architectures": [{"arm": "other", "alone": [0.9]}]},
        {"images": 3},
        {"search": []},
        {"uniform_weights": {"epochs": 1}},
        {"uniform_weights": {"epochs": 1, "architectures": [{"arm": "derived"}]}},
    ],
)
def test_a_damaged_judgement_is_an_error_of_one_line(change, tmp_path):
    folder = judge_search(shared_search(tmp_path / "run"), [0.9] * 5, [0.9] * 20)
    path = folder / "weight_sharing.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="damaged: ") as raised:
        read_run(folder)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_judgement_from_before_a_resume_does_not_count(tmp_path):
    folder = judge_search(shared_search(tmp_path / "run"), [0.95] * 5, [0.9] * 20)
    summary = folder / "summary.json"
    summary.write_text(summary.read_text().replace("}", ', "best_reward": 0.99}'))
    assert describe_verdict(read_run(folder)).answer == "Not judged yet."


def test_the_fall_of_the_entropy_is_that_of_the_first_and_last_tenth(tmp_path):
    folder = trial_search(tmp_path / "run", control=0.0)
    with closing(Journal(folder / "trials.sqlite", str(EdgeCellSpace()))) as journal:
        expected = [-t.proposal.log_prob for t in sorted(journal.list_ended(), key=by_number)]
    fall = measure_entropy_fall(read_run(folder))
    assert fall.value == pytest.approx(np.mean(expected[:12]) - np.mean(expected[-12:]))


def test_in_a_growing_space_only_samples_of_the_last_size_are_compared(tmp_path):
    start, end = read_run(growing_search(tmp_path / "run")).entropies
    assert set(start) == set(end)  # the log-probability of a decision is always -1
    assert len(start) == 5


def by_number(trial):
    return trial.number


def test_runs_are_grouped_by_their_settings_and_groups_are_compared(tmp_path):
    folders = [
        trial_search(tmp_path / f"{name}-{seed}", seed=seed, gain=gain, method_name=name)
        for name, gain in (("good", 0.3), ("poor", 0.0))
        for seed in range(3)
    ]
    groups = group_runs([read_run(folder) for folder in folders])
    assert [len(group.records) for group in groups] == [3, 3]
    assert describe_group_verdict(groups[0]).answer == "Yes."
    assert describe_group_verdict(groups[1]).answer != "Yes."
    ((first, second, *_, verdict),) = describe_pairs(compare_groups(groups))
    assert ("good" in first, "poor" in second, verdict) == (True, True, "better")
