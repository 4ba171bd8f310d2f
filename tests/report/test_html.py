"""The page of a search: parsed, compared with the journal, and looked at in a real browser."""

import json
import re
import shutil
import statistics
from collections import Counter
from html.parser import HTMLParser

import pytest

from lightning_nas.report.html import SECTIONS, write_report
from lightning_nas.report.record import read_run
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Outcome, Proposal
from tests.report.browser import looked_at
from tests.report.folders import collapsed_search, only_control, shared_search, trial_search

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Ids, attributes, text and the nesting of tags."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.attributes, self.text, self.open, self.tags = [], [], [], [], Counter()
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attributes]
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def said(self):
        return " ".join(" ".join(self.text).split())


def page(folder):
    return Page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trial_search(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = shared_search(tmp_path_factory.mktemp("shared") / "run")
    judge(folder)
    return folder


def judge(folder):
    """Write what judging the weight sharing of a run leaves in its folder."""
    correlation = {"count": 30, "tau": 0.4123, "tau_interval": [0.2, 0.6], "rho": 0.55,
                   "rho_interval": [0.3, 0.7]}  # fmt: skip
    derived = {"alone_mean": 0.9712, "control_mean": 0.95, "control_std": 0.01,
               "control_best": 0.98, "better_than": 0.9}  # fmt: skip
    judged = {"run": str(folder), "epochs": 7, "architectures": [{"alone": [0.9]}] * 31,
              "correlations": {"batch": correlation}, "derived": derived,
              "failed": [{}]}  # fmt: skip
    (folder / "weight_sharing.json").write_text(json.dumps(judged))
    svg = '<?xml version="1.0"?>\n<svg width="90pt" height="60pt" viewBox="0 0 90 60" {}>{}</svg>'
    inner = '<g id="figure_1"><rect width="9" height="9"/></g>'
    text = svg.format('xmlns="http://www.w3.org/2000/svg"', inner)
    (folder / "weight_sharing.svg").write_text(text)


def test_all_sections_of_shared_weights_are_there(shared):
    found = page(shared)
    wanted = {"arms-beside" if name == "arms" else name for name in SECTIONS} - {"front"}
    assert wanted <= set(found.ids)
    links = {value[1:] for tag, name, value in found.attributes if (tag, name) == ("a", "href")}
    assert wanted <= links <= set(found.ids)
    assert found.tags["details"] == 1


def test_all_sections_of_trainings_are_there(trained):
    found = page(trained)
    assert set(SECTIONS) - {"arms", "sharing"} <= set(found.ids)
    assert "2.5 s" in found.said


def test_numbers_are_those_of_the_journal(trained):
    said, record = page(trained).said, read_run(trained)
    control = [t.reward for t in record.trials if t.proposal.arm == RANDOM]
    policy = [t.reward for t in record.trials if t.proposal.arm == POLICY]
    assert f"{statistics.fmean(control):.4f}" in said
    assert f"{statistics.fmean(policy):.4f}" in said
    assert f"(of {len(control)})" in said
    for one in record.best:
        outcome = one.trial.outcome
        assert f"trial {one.trial.number}" in said
        assert f"reward {one.trial.reward:.4f}, accuracy {outcome.accuracies[-1]:.2%}" in said
        assert f"{outcome.parameters:,} parameters" in said
    for one in record.front:
        cost = one.trial.outcome.parameters
        assert f"{one.trial.number} {cost:,} {one.trial.outcome.reward:.4f}" in said
    errors = [t for t in record.trials if t.outcome.error]
    assert f"{len(errors)} of 120 evaluations failed" in said
    assert f"out of memory {len(errors)}" in said
    assert record.train_line in said
    assert "Yes. In the second half of the search" in said


def test_what_the_judge_of_weight_sharing_wrote_is_shown(shared):
    found = page(shared)
    assert "batch 30 0.41 0.20 to 0.60 0.55 0.30 to 0.70" in found.said
    assert "31 architectures of this search were trained from scratch for 7 epochs" in found.said
    assert "the derived architecture has 97.12%" in found.said
    assert "1 of 32 trainings failed and are left out." in found.said
    assert "sharing-figure_1" in found.ids


@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_the_page_needs_no_network_and_no_script(kind, request):
    folder = request.getfixturevalue(kind)
    found, text = page(folder), (folder / "report.html").read_text()
    assert found.tags["script"] == found.tags["img"] == found.tags["iframe"] == 0
    for tag, name, value in found.attributes:
        if name in {"src", "href", "xlink:href", "data", "srcset"}:
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert len(text) < 2_000_000


@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_no_id_is_there_twice_and_all_that_is_referred_to_is(kind, request):
    folder = request.getfixturevalue(kind)
    found, text = page(folder), (folder / "report.html").read_text()
    assert [name for name, times in Counter(found.ids).items() if times > 1] == []
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(found.ids)
    uses = {v[1:] for _, name, v in found.attributes if name.endswith("href") and v[0] == "#"}
    assert uses <= set(found.ids)


def test_a_report_asked_for_twice_has_the_same_bytes(shared):
    first = write_report(shared).read_bytes()
    assert write_report(shared).read_bytes() == first
    assert not list(shared.glob("*.part*"))


def test_a_report_of_an_interrupted_search_says_that_it_is_partial(tmp_path):
    found = page(trial_search(tmp_path / "run", status="interrupted"))
    assert "Partial report: the search was interrupted" in found.said
    assert f"python search.py resume={tmp_path / 'run'}" in found.said
    assert "python train.py" not in found.said  # it has no architecture.json yet


@pytest.mark.parametrize("search", [trial_search, shared_search])
def test_a_search_whose_random_arm_alone_has_ended_has_a_report(search, tmp_path):
    folder = search(tmp_path / "run")
    only_control(folder)
    assert "Not enough data to say whether the search beat chance" in page(folder).said


def test_only_a_controller_can_collapse(tmp_path):
    folder = trial_search(tmp_path / "run", method_name="evolution")
    (folder / "metrics.csv").unlink()
    assert "collapsed" not in page(folder).said


def test_what_was_proposed_again_is_not_counted_as_evaluated(tmp_path):
    said = page(collapsed_search(tmp_path / "run")).said
    assert "70 evaluations, 90 more proposals of what had been evaluated" in said
    assert "evaluations 70 30 of the search, 40 drawn uniformly" in said
    assert "proposed again 90 outcomes copied" in said
    assert "None of 70 evaluations failed" in said


def test_a_finalist_of_shared_weights_has_its_accuracy_in_the_summary(tmp_path):
    folder = shared_search(tmp_path / "run")
    tokens = read_run(folder).best[0].trial.proposal.tokens
    journal = Journal(folder / "trials.sqlite", str(MacroSpace(layers=6)))
    journal.propose([Proposal(120, tokens, arm=FINALIST)], [None])
    journal.end(120, Outcome(0.9, (0.5, 0.9123)), 0.9)
    journal.close()
    assert "accuracy, last epoch 91.23% validation" in page(folder).said


def test_a_table_saved_the_time_that_its_trainings_took(tmp_path):
    table = {"_target_": "lightning_nas.evaluation.tabular.TabularBenchmark"}
    said = page(trial_search(tmp_path / "run", evaluation=table)).said
    assert "Training time that the table saved" in said
    assert "Where the time went" not in said
    assert "2.5 s" not in said
    assert "all else" not in said


def test_a_collapse_is_warned_of_with_its_rule(tmp_path):
    said = page(shared_search(tmp_path / "run", same=True)).said
    assert "Warning: the controller has collapsed. the commonest of the last 10 is 100%" in said
    assert "are the same one to 90%" in said


def test_random_search_is_not_compared_with_itself(tmp_path):
    folder = trial_search(tmp_path / "run", control=0.0)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "method": "random_search"}))
    assert "It is chance: this search draws uniformly." in page(folder).said


def test_shared_weights_with_a_uniform_controller_are_not_compared_with_themselves(tmp_path):
    uniform = {"_target_": "lightning_nas.controllers.uniform.UniformController"}
    folder = shared_search(tmp_path / "run", gain=0.0, controller=uniform)
    said = page(folder).said
    assert "It is chance: this search draws uniformly." in said
    assert "better than chance" not in said


def test_a_folder_with_a_blank_is_quoted_in_what_is_to_be_typed(tmp_path):
    said = page(trial_search(tmp_path / "a run")).said
    assert f"python -m lightning_nas.report '{tmp_path}/a run'" in said


def test_settings_are_text_and_no_markup(tmp_path):
    folder = trial_search(tmp_path / "run", train_with="<script>alert(1)</script>")
    found = page(folder)
    assert found.tags["script"] == 0
    assert "<script>alert(1)</script>" in found.said


@pytest.mark.slow
def test_twenty_thousand_architectures_make_a_page_of_less_than_five_megabytes(tmp_path):
    folder = shared_search(tmp_path / "run", epochs=400, steps=48, layers=12)
    found = page(folder)
    assert "20,024 evaluations" in found.said
    assert (folder / "report.html").stat().st_size < 5_000_000


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_a_browser_shows_every_picture_and_scrolls_in_one_direction(kind, width, request, tmp_path):
    path = write_report(request.getfixturevalue(kind))
    seen = looked_at(path, width, tmp_path)
    assert seen["console"] == []
    assert seen["width"] == width
    assert seen["scroll_width"] <= width
    assert len(seen["pictures"]) > 15
    assert all(w > 100 and h > 50 for w, h in seen["pictures"])
    assert all(w <= width for w, _ in seen["charts"])
