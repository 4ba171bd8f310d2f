"""Weight sharing judged, as a report says it."""

import json

import pytest

from lightning_nas.errors import InputError
from lightning_nas.judge.facts import describe_state
from lightning_nas.report.judged import describe_weight_sharing
from tests.judge.judged import facts

SUMMARY = {"status": "complete", "architectures": 90, "best_reward": 0.9, "seconds": 4.0}


def said(folder, summary=SUMMARY, **more):
    """What is said of made-up facts in a run folder with a summary."""
    (folder / "summary.json").write_text(json.dumps(summary))
    found = facts() | {"search": describe_state(SUMMARY)} | more
    (folder / "weight_sharing.json").write_text(json.dumps(found))
    return describe_weight_sharing(folder)


def test_what_was_not_judged_has_no_section(tmp_path):
    assert describe_weight_sharing(tmp_path) is None


def test_the_table_is_of_the_uniform_ones_and_says_so(tmp_path):
    found = said(tmp_path)
    assert "Those in the table are of the uniformly drawn ones only" in found["words"]
    assert [row[1] for row in found["rows"]] == ["12"] * 3


def test_trainings_that_failed_and_the_controllers_are_told_of(tmp_path):
    (controllers,) = said(tmp_path)["notes"]
    assert "the controller's less the uniform ones: " in controllers
    assert controllers.endswith("not enough data.")
    failed = {"arm": "policy", "tokens": [1], "error": "out of memory"}
    assert "1 of 20 trainings failed and are left out." in said(tmp_path, failed=[failed])["notes"]


@pytest.mark.parametrize(
    "since", [{"status": "interrupted"}, {"architectures": 99}, {"best_reward": 0.91}]
)
def test_a_judging_of_before_the_search_was_resumed_is_called_so(since, tmp_path):
    assert "earlier state" not in " ".join(said(tmp_path)["notes"])
    assert "earlier state" in said(tmp_path, SUMMARY | since)["notes"][-1]


def test_time_alone_makes_no_other_state(tmp_path):
    assert len(said(tmp_path, SUMMARY | {"seconds": 5.0})["notes"]) == 1


@pytest.mark.parametrize("text", ["half a fi", "[]", '{"epochs": 7}', '{"architectures": 1}'])
def test_a_damaged_file_is_one_line(text, tmp_path):
    path = tmp_path / "weight_sharing.json"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        describe_weight_sharing(tmp_path)
    assert str(refused.value).startswith(f"{path}: damaged: ")
    assert "\n" not in str(refused.value)
