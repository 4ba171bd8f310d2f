"""What is said of judged architectures: in the form that others read, and counted rightly."""

import json
import statistics

import pytest

from lightning_nas.judge.correlation import correlate
from lightning_nas.judge.facts import JudgedArchitecture, collect_facts, format_facts
from lightning_nas.report.statistics import NOT_ENOUGH, compare_means, mean_of
from tests.judge.judged import MODES, facts, judged


def test_the_file_has_the_form_that_others_read():
    read = json.loads(json.dumps(facts()))
    assert isinstance(read["run"], str)
    assert isinstance(read["epochs"], int)
    for one in read["architectures"]:
        assert one["arm"] in {"control", "policy", "derived"}
        assert all(isinstance(token, int) for token in one["tokens"])
        assert set(one["shared"]) == set(MODES)
        assert all(isinstance(accuracy, float) for accuracy in one["alone"])
    assert set(read["correlations"]) == set(MODES)
    for one in read["correlations"].values():
        assert set(one) == {"count", "tau", "tau_interval", "rho", "rho_interval"}
        low, high = one["tau_interval"]
        assert -1 <= low <= one["tau"] <= high <= 1
    names = {"alone_mean", "control_mean", "control_std", "control_best", "better_than"}
    assert names == set(read["derived"])


def test_the_primary_correlation_is_over_the_uniform_ones():
    ones, said = judged(), facts()
    uniform = [one for one in ones if one.arm == "control"]
    for chosen, name in ((uniform, "correlations"), (ones, "correlations_all")):
        found = correlate([o.shared["batch"] for o in chosen], [o.mean for o in chosen])
        assert said[name]["batch"]["tau"] == found.tau
        assert said[name]["batch"]["count"] == len(chosen)


def test_the_derived_one_is_compared_with_uniform_ones():
    ones = [
        JudgedArchitecture("control", (n,), {"batch": 0.1 * n}, (a,))
        for n, a in enumerate((0.7, 0.8, 0.9))
    ]
    ones += [
        JudgedArchitecture("policy", (5,), {"batch": 0.5}, (0.84,)),
        JudgedArchitecture("policy", (6,), {"batch": 0.5}, (0.86,)),
        JudgedArchitecture("derived", (7,), {"batch": 0.5}, (0.88, 0.86)),
    ]
    said = collect_facts(ones)
    assert said["derived"] == pytest.approx(
        {
            "alone_mean": 0.87,
            "control_mean": 0.8,
            "control_std": 0.1,
            "control_best": 0.9,
            "better_than": 2 / 3,
        }
    )
    assert said["policy"]["difference"] == pytest.approx(0.05)
    assert said["policy"]["difference_interval"] is None
    assert said["policy"]["verdict"] == NOT_ENOUGH
    assert said["deviation"]["architectures"] == pytest.approx(0.1)
    assert said["deviation"]["seeds"] == pytest.approx(statistics.stdev((0.88, 0.86)))


def test_a_mode_without_an_order_is_left_out_of_the_correlations():
    ones = [
        JudgedArchitecture(one.arm, one.tokens, one.shared | {"running": 0.1}, one.alone)
        for one in judged()
    ]
    assert set(collect_facts(ones)["correlations"]) == {"batch", "recalibrated"}


def test_without_the_controllers_there_is_nothing_to_say_of_it():
    said = facts(policy=0)
    assert said["policy"] is None
    assert "the controller's" not in format_facts(said)


def test_the_controllers_are_compared_as_the_arms_of_any_search():
    ones, said = judged(policy=5), facts(policy=5)
    ours, theirs = (mean_of([o.mean for o in ones if o.arm == a]) for a in ("policy", "control"))
    found = compare_means(ours, theirs)
    assert said["policy"] == {
        "alone_mean": ours.value,
        "difference": found.value,
        "difference_interval": (found.low, found.high),
        "verdict": found.verdict,
    }
    line = f"{found.value:+.2%} (95 % interval {found.low:+.2%} to {found.high:+.2%})"
    assert line in format_facts(said)


def test_four_of_the_controllers_are_too_few_for_an_interval():
    said = facts(policy=4)
    assert json.loads(json.dumps(said))["policy"]["difference_interval"] is None
    assert f"{said['policy']['difference']:+.2%}, not enough data" in format_facts(said)


def test_trainings_that_failed_are_counted():
    said = facts()  # 12 + 4 trained once, the derived one three times
    assert "failed" not in format_facts(said)
    failed = {"arm": "control", "tokens": (99, 1), "error": "out of memory"}
    lines = format_facts(said | {"failed": [failed] * 2})
    assert "2 of 21 trainings failed and are left out." in lines


def test_the_lines_have_every_mode_with_its_figures():
    said = facts()
    lines = format_facts(said).splitlines()
    for mode, one in said["correlations"].items():
        (line,) = (line for line in lines if line.startswith(mode))
        assert f"{one['tau']:.2f}" in line
        assert f"{one['rho']:.2f}" in line
    assert any(line.startswith("derived") for line in lines)
