"""The facts about weight sharing: their form, their values, and their words in a report."""

import json
import statistics

import pytest

from lightning_nas.errors import InputError
from lightning_nas.judge.facts import (
    ArchitectureScores,
    collect_facts,
    describe_weight_sharing,
    format_facts,
)
from lightning_nas.report.statistics import (
    NOT_ENOUGH,
    compare_means,
    correlate_ranks,
    estimate_mean,
)
from lightning_nas.storage.run_folder import RunFolder, describe_state
from tests.judge.scores import MODES, facts, make_scores

SUMMARY = {"status": "complete", "architectures": 90, "best_reward": 0.9, "seconds": 4.0}


def test_the_file_has_the_form_that_others_read():
    content = json.loads(json.dumps(facts()))
    assert isinstance(content["run"], str)
    assert isinstance(content["epochs"], int)
    for one in content["architectures"]:
        assert one["arm"] in {"control", "policy", "derived"}
        assert all(isinstance(token, int) for token in one["tokens"])
        assert set(one["shared"]) == set(MODES)
        assert all(isinstance(accuracy, float) for accuracy in one["alone"])
    assert set(content["correlations"]) == set(MODES)
    for one in content["correlations"].values():
        assert set(one) == {"count", "tau", "tau_interval", "rho", "rho_interval"}
        low, high = one["tau_interval"]
        assert -1 <= low <= one["tau"] <= high <= 1
    names = {"alone_mean", "control_mean", "control_std", "control_best", "better_than"}
    assert names == set(content["derived"])


def test_the_primary_correlation_is_over_the_random_arm():
    scores, content = make_scores(), facts()
    random_arm = [one for one in scores if one.arm == "control"]
    for chosen, name in ((random_arm, "correlations"), (scores, "correlations_all")):
        correlation = correlate_ranks([o.shared["batch"] for o in chosen], [o.mean for o in chosen])
        assert content[name]["batch"]["tau"] == correlation.tau
        assert content[name]["batch"]["count"] == len(chosen)


def test_the_derived_architecture_is_compared_with_the_random_arm():
    scores = [
        ArchitectureScores("control", (n,), {"batch": 0.1 * n}, (accuracy,))
        for n, accuracy in enumerate((0.7, 0.8, 0.9))
    ]
    scores += [
        ArchitectureScores("policy", (5,), {"batch": 0.5}, (0.84,)),
        ArchitectureScores("policy", (6,), {"batch": 0.5}, (0.86,)),
        ArchitectureScores("derived", (7,), {"batch": 0.5}, (0.88, 0.86)),
    ]
    content = collect_facts(scores)
    assert content["derived"] == pytest.approx(
        {
            "alone_mean": 0.87,
            "control_mean": 0.8,
            "control_std": 0.1,
            "control_best": 0.9,
            "better_than": 2 / 3,
        }
    )
    assert content["policy"]["difference"] == pytest.approx(0.05)
    assert content["policy"]["difference_interval"] is None
    assert content["policy"]["verdict"] == NOT_ENOUGH
    assert content["deviation"]["architectures"] == pytest.approx(0.1)
    assert content["deviation"]["seeds"] == pytest.approx(statistics.stdev((0.88, 0.86)))


def test_a_mode_with_equal_accuracies_has_no_correlation():
    scores = [
        ArchitectureScores(one.arm, one.tokens, one.shared | {"running": 0.1}, one.alone)
        for one in make_scores()
    ]
    assert set(collect_facts(scores)["correlations"]) == {"batch", "recalibrated"}


def test_without_samples_of_the_controller_there_is_no_line_for_it():
    content = facts(policy=0)
    assert content["policy"] is None
    assert "controller" not in format_facts(content)


def test_samples_of_the_controller_are_compared_as_the_arms_of_any_search():
    scores, content = make_scores(policy=5), facts(policy=5)
    policy, random_arm = (
        estimate_mean([one.mean for one in scores if one.arm == arm])
        for arm in ("policy", "control")
    )
    difference = compare_means(policy, random_arm)
    assert content["policy"] == {
        "alone_mean": policy.value,
        "difference": difference.value,
        "difference_interval": (difference.low, difference.high),
        "verdict": difference.verdict,
    }
    interval = f"(95 % interval {difference.low:+.2%} to {difference.high:+.2%})"
    assert f"{difference.value:+.2%} {interval}" in format_facts(content)


def test_four_samples_of_the_controller_are_too_few_for_an_interval():
    content = facts(policy=4)
    assert json.loads(json.dumps(content))["policy"]["difference_interval"] is None
    assert f"{content['policy']['difference']:+.2%}, not enough data" in format_facts(content)


def test_failed_trainings_are_counted():
    content = facts()  # 12 + 4 architectures trained once, the derived one three times
    assert "failed" not in format_facts(content)
    failed = {"arm": "control", "tokens": (99, 1), "error": "out of memory"}
    lines = format_facts(content | {"failed": [failed] * 2})
    assert "2 of 21 trainings failed and are left out." in lines


def test_the_lines_have_every_mode_with_its_figures():
    content = facts()
    lines = format_facts(content).splitlines()
    for mode, one in content["correlations"].items():
        (line,) = (line for line in lines if line.startswith(mode))
        assert f"{one['tau']:.2f}" in line
        assert f"{one['rho']:.2f}" in line
    assert any(line.startswith("derived") for line in lines)


# ---- the section of a report ---------------------------------------------------------------------


def describe(folder, summary=SUMMARY, **more):
    """Return the section of a report for made-up facts in a run folder with a summary."""
    (folder / "summary.json").write_text(json.dumps(summary))
    content = facts() | {"search": describe_state(SUMMARY)} | more
    (folder / "weight_sharing.json").write_text(json.dumps(content))
    return describe_weight_sharing(RunFolder(folder))


def test_a_run_that_was_not_judged_has_no_section(tmp_path):
    assert describe_weight_sharing(RunFolder(tmp_path)) is None


def test_the_table_is_over_the_random_arm(tmp_path):
    section = describe(tmp_path)
    assert "compares the accuracies of the random arm" in section["words"]
    assert [row[1] for row in section["rows"]] == ["12"] * 3
    assert [chart["name"] for chart in section["charts"]] == [
        "sharing-batch", "sharing-running", "sharing-recalibrated"
    ]  # fmt: skip


def test_failed_trainings_and_the_controller_have_a_note(tmp_path):
    (note,) = describe(tmp_path)["notes"]
    assert "the controller's architectures minus the random arm: " in note
    assert note.endswith("not enough data.")
    failed = {"arm": "policy", "tokens": [1], "error": "out of memory"}
    notes = describe(tmp_path, failed=[failed])["notes"]
    assert "1 of 20 trainings failed and are left out." in notes


@pytest.mark.parametrize(
    "change", [{"status": "interrupted"}, {"architectures": 99}, {"best_reward": 0.91}]
)
def test_a_search_that_was_resumed_since_has_a_note(change, tmp_path):
    assert "earlier state" not in " ".join(describe(tmp_path)["notes"])
    assert "earlier state" in describe(tmp_path, SUMMARY | change)["notes"][-1]


def test_other_seconds_are_not_another_state(tmp_path):
    assert len(describe(tmp_path, SUMMARY | {"seconds": 5.0})["notes"]) == 1


@pytest.mark.parametrize("text", ["half a fi", "[]", '{"epochs": 7}', '{"architectures": 1}'])
def test_a_damaged_file_is_an_error_of_one_line(text, tmp_path):
    path = tmp_path / "weight_sharing.json"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        describe_weight_sharing(RunFolder(tmp_path))
    assert str(raised.value).startswith(f"{path}: damaged: ")
    assert "\n" not in str(raised.value)
