"""The page of a search: parsed, compared with the journal, and measured in a real browser."""

import base64
import hashlib
import json
import re
import shutil
import statistics
from collections import Counter
from functools import cache
from html.parser import HTMLParser

import pytest

from lightning_nas.report.html import SECTIONS, write_report
from lightning_nas.report.page import CONTENT_POLICY, SCRIPT
from lightning_nas.report.record import read_run
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Outcome, Proposal
from tests.report.browser import measure_page
from tests.report.folders import collapsed_search, keep_only_random_arm, shared_search, trial_search

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Ids, attributes and text of a page; checks that every tag is closed."""

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
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def parse_report(folder):
    return Page(write_report(folder).read_text())


parse_once = cache(parse_report)  # for the runs that several tests read


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trial_search(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = shared_search(tmp_path_factory.mktemp("shared") / "run")
    write_judgement(folder)
    return folder


def write_judgement(folder):
    """Write the files that the judge leaves in a run folder."""
    correlation = {"count": 30, "tau": 0.4123, "tau_interval": [0.2, 0.6], "rho": 0.55,
                   "rho_interval": [0.3, 0.7]}  # fmt: skip
    derived = {"alone_mean": 0.9712, "control_mean": 0.95, "control_std": 0.01,
               "control_best": 0.98, "better_than": 0.9}  # fmt: skip
    one = {"arm": "control", "alone": [0.9], "shared": {"batch": 0.5}}
    facts = {"run": str(folder), "epochs": 7, "architectures": [one] * 31,
              "correlations": {"batch": correlation}, "derived": derived,
              "failed": [{}]}  # fmt: skip
    (folder / "weight_sharing.json").write_text(json.dumps(facts))
    (folder / "weight_sharing.svg").write_text("<svg><script>alert(1)</script></svg>")


def test_a_search_with_shared_weights_has_all_sections(shared):
    found = parse_once(shared)
    wanted = set(SECTIONS) - {"front"}
    assert wanted | {"chart-arms", "chart-ranking", "chart-entropy"} <= set(found.ids)
    links = {value[1:] for tag, name, value in found.attributes if (tag, name) == ("a", "href")}
    assert wanted <= links <= set(found.ids)
    assert found.tags["details"] == 13  # ten architectures, two notes and the configuration


def test_a_search_by_trials_has_all_sections(trained):
    found = parse_once(trained)
    assert set(SECTIONS) - {"sharing"} <= set(found.ids)
    assert "2.5 s" in found.words


def test_figures_are_those_of_the_journal(trained):
    words, record = parse_once(trained).words, read_run(trained)
    random_arm = [t.reward for t in record.trials if t.proposal.arm == RANDOM]
    policy = [t.reward for t in record.trials if t.proposal.arm == POLICY]
    assert f"{statistics.fmean(random_arm):.4f}" in words
    assert f"{statistics.fmean(policy):.4f}" in words
    assert f"(of {len(random_arm)})" in words
    for one in record.best:
        outcome = one.trial.outcome
        assert f"trial {one.trial.number}" in words
        assert f"reward {one.trial.reward:.4f}, accuracy {outcome.accuracies[-1]:.2%}" in words
        assert f"{outcome.parameters:,} parameters" in words
    for one in record.front:
        cost = one.trial.outcome.parameters
        assert f"{one.trial.number} {cost:,} {one.trial.outcome.reward:.4f}" in words
    errors = [t for t in record.trials if t.outcome.error]
    assert f"{len(errors)} of 120 evaluations failed" in words
    assert f"out of memory {len(errors)}" in words
    assert record.train_command in words
    assert "Yes. In the second half of the search" in words


def test_the_facts_of_the_judge_are_in_the_report(shared):
    found = parse_once(shared)
    assert "batch 30 0.41 0.20 to 0.60 0.55 0.30 to 0.70" in found.words
    assert "31 architectures of this search were trained from scratch for 7 epochs" in found.words
    assert "the derived architecture has an accuracy of 97.12%" in found.words
    assert "1 of 32 trainings failed and are left out." in found.words
    assert "sharing-batch-figure_1" in found.ids


@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_the_page_needs_no_network_and_has_no_script_but_its_own(kind, request):
    folder = request.getfixturevalue(kind)
    found, text = parse_once(folder), (folder / "report.html").read_text()
    assert found.tags["img"] == found.tags["iframe"] == 0
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert script == SCRIPT
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (value for _, name, value in found.attributes if value == CONTENT_POLICY)
    assert f"script-src 'sha256-{own}'" in policy
    for tag, name, value in found.attributes:
        if name in {"src", "href", "xlink:href", "data", "srcset"}:
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert len(text) < 2_000_000


@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_ids_are_unique_and_every_reference_has_its_id(kind, request):
    folder = request.getfixturevalue(kind)
    found, text = parse_once(folder), (folder / "report.html").read_text()
    assert [name for name, times in Counter(found.ids).items() if times > 1] == []
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(found.ids)
    uses = {v[1:] for _, name, v in found.attributes if name.endswith("href") and v[0] == "#"}
    assert uses <= set(found.ids)


def test_the_same_run_gives_the_same_bytes(shared):
    parse_once(shared)
    first = (shared / "report.html").read_bytes()
    assert write_report(shared).read_bytes() == first
    assert not list(shared.glob("*.part*"))


def test_the_report_of_an_interrupted_search_is_marked_as_partial(tmp_path):
    found = parse_report(trial_search(tmp_path / "run", status="interrupted"))
    assert "Partial report: the search was interrupted" in found.words
    assert f"python search.py resume={tmp_path / 'run'}" in found.words
    assert "python train.py" not in found.words  # it has no architecture.json yet


@pytest.mark.parametrize(
    ("search", "answer"),
    [
        (trial_search, "Not enough data to say whether the search beat random search"),
        (shared_search, "Not judged yet."),
    ],
)
def test_a_search_with_only_a_random_arm_has_a_report(search, answer, tmp_path):
    folder = search(tmp_path / "run")
    keep_only_random_arm(folder)
    assert answer in parse_report(folder).words


def test_a_search_without_a_controller_cannot_collapse(tmp_path):
    folder = trial_search(tmp_path / "run", method_name="evolution")
    (folder / "metrics.csv").unlink()
    assert "collapsed" not in parse_report(folder).words.lower()


def test_a_repeated_proposal_is_not_counted_as_an_evaluation(tmp_path):
    words = parse_report(collapsed_search(tmp_path / "run")).words
    assert "70 evaluations, 90 repeated proposals" in words
    assert "evaluations 70 30 of the search, 40 of the random arm" in words
    assert "proposed again 90 outcomes copied" in words
    assert "None of 70 evaluations failed" in words


def test_a_finalist_of_shared_weights_has_its_accuracy_in_the_summary(tmp_path):
    folder = shared_search(tmp_path / "run", finalist_epochs=3)
    tokens = read_run(folder).best[0].trial.proposal.tokens
    journal = Journal(folder / "trials.sqlite", str(MacroSpace(layers=6)))
    journal.propose([Proposal(120, tokens, arm=FINALIST)], [None])
    journal.end(120, Outcome(0.9, (0.5, 0.9123)), 0.9)
    journal.close()
    words = parse_report(folder).words
    assert "accuracy, last epoch 91.23% validation" in words
    expected = (
        "The best reward is that of a finalist: it follows from the validation accuracy after 3 "
        "epochs of training from scratch, and is not comparable with rewards under shared weights."
    )
    assert expected in words


def test_the_seconds_of_a_table_are_those_that_it_saved(tmp_path):
    table = {"_target_": "lightning_nas.evaluation.tabular.TabularBenchmark"}
    words = parse_report(trial_search(tmp_path / "run", evaluation=table)).words
    assert "Training time that the table saved" in words
    assert "Where the time went" not in words
    assert "2.5 s" not in words
    assert "everything else" not in words


def test_a_collapse_has_a_warning_and_its_rule(tmp_path):
    words = parse_report(shared_search(tmp_path / "run", same=True)).words
    warning = "Warning: the controller has collapsed: the most frequent of its last 10 "
    assert f"{warning}architectures has a share of 100%" in words
    assert "one has a share of 90% or more" in words


def test_a_controller_that_hardly_learned_has_a_warning_beside_its_entropy(tmp_path):
    folder = shared_search(tmp_path / "run")
    rows = (folder / "metrics.csv").read_text().replace("12.0", "21.14")  # that of uniform sampling
    (folder / "metrics.csv").write_text(rows)
    words = parse_report(folder).words
    hardly = "The controller has hardly learned: at the end, its entropy is 100.0% of that of"
    assert f"Warning: {hardly}" in words
    assert words.count(hardly) == 2  # at the top, and in place of "has not collapsed"
    assert "has not collapsed" not in words


def test_random_search_is_not_compared_with_its_random_arm(tmp_path):
    folder = trial_search(tmp_path / "run", control=0.0)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "method": "random_search"}))
    words = parse_report(folder).words
    assert "This is random search: all architectures are sampled uniformly" in words


def test_a_uniform_controller_is_not_compared_with_its_random_arm(tmp_path):
    uniform = {"_target_": "lightning_nas.controllers.uniform.UniformController"}
    folder = shared_search(tmp_path / "run", gain=0.0, controller=uniform)
    words = parse_report(folder).words
    assert "This is random search: all architectures are sampled uniformly" in words
    assert "better than the random arm" not in words


@pytest.mark.parametrize(("target", "is_missed"), [(2000, False), (500, True)])
def test_a_budget_is_explained_and_a_missed_target_is_said(target, is_missed, tmp_path):
    budget = {"cost": "parameters", "target": target, "exponent": -0.07}
    words = parse_report(trial_search(tmp_path / "run", method={"budget": budget})).words
    assert f"(parameters / {target:,}) to the power of -0.07" in words
    assert ("No architecture met the target: the lowest is" in words) == is_missed
    assert "target" in words  # the line in the chart


def test_a_folder_with_a_blank_is_quoted_in_commands(tmp_path):
    words = parse_report(trial_search(tmp_path / "a run")).words
    assert f"python -m lightning_nas.report '{tmp_path}/a run'" in words


def test_settings_are_shown_as_text_not_as_markup(tmp_path):
    folder = trial_search(tmp_path / "run", train_with="<script>alert(1)</script>")
    found = parse_report(folder)
    assert found.tags["script"] == 1  # that of the page
    assert "<script>alert(1)</script>" in found.words


@pytest.mark.slow
def test_twenty_thousand_architectures_make_a_page_of_less_than_five_megabytes(tmp_path):
    folder = shared_search(tmp_path / "run", epochs=400, steps=48, layers=12)
    found = parse_report(folder)
    assert "20,024 evaluations" in found.words
    assert (folder / "report.html").stat().st_size < 5_000_000


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("kind", ["trained", "shared"])
def test_a_browser_shows_every_picture_and_scrolls_in_one_direction(kind, width, request, tmp_path):
    path = write_report(request.getfixturevalue(kind))
    measured = measure_page(path, width, tmp_path)
    assert measured["console"] == []
    assert measured["width"] == width
    assert measured["scroll_width"] <= width
    assert len(measured["pictures"]) > 15
    assert all(w > 100 and h > 50 for w, h in measured["pictures"])
    assert all(w <= width for w, _ in measured["charts"])
    assert measured["smallest_text"] >= 9
    if kind == "trained":  # pictures of edge cells; one of a macro network is wider than a phone
        assert measured["swiped"] == 0
    assert measured["hints"] == measured["swiped"]  # only where there is something to swipe
    assert measured["height"] <= 5000 or width < 1200
    # commands for training and for the report, and for the judge where networks must be trained
    assert measured["buttons"] == {"trained": 2, "shared": 3}[kind]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize(("rule", "hidden"), [("@media print", 13), ("@media all", 0)])
def test_what_a_click_unfolds_is_printed_too(rule, hidden, shared, tmp_path):
    text = write_report(shared).read_text()
    (tmp_path / "report.html").write_text(text.replace("@media print", rule))
    assert measure_page(tmp_path / "report.html", 700, tmp_path)["hidden"] == hidden
