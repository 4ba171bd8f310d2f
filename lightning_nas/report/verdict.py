"""The verdict of a report: did the search beat random search? All pages use this one rule.

Only networks that are trained from scratch can decide. For ENAS, these are the networks of the
judge: the derived architecture under several seeds, and uniformly sampled architectures, tested on
images that rewarded no architecture. Rewards under shared weights do not decide: the weights are
trained on samples of the controller, so whatever the controller prefers scores higher. For the
other methods, the second half of the search is compared with the random arm.

The answer is "Yes" if

1. the 95 % interval of the difference is above 0,
2. the derived architecture of ENAS is better than 80 % of the random architectures,
3. the architectures of the search classify images better than guessing, and
4. the entropy of the controller has fallen: a controller that learns nothing can be lucky.

The answer is "No better" only if the interval excludes a gain of one standard deviation of the
random arm, outliers aside. In all other cases the data cannot tell.

For several runs with equal settings, the differences are those of the runs, and a reason against a
"Yes" counts if it holds for half of the runs. If a page also has runs of random search with
otherwise equal settings, the rule is applied once more, to the best rewards of the runs.

Limit: the networks of ENAS are one derived architecture. A controller that settles on an
architecture without regard to its quality is better than 80 % of the random ones by luck in one of
five searches. Several seeds exclude such luck: the verdict on a group of runs compares over runs.
``python -m benchmarks.verdict`` measures how often each answer is given.

Beside the verdict, ``describe_short_search`` says whether a search was too short for its
controller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_nas.report.comparison import (
    VERDICT_WORDS,
    Comparison,
    compare_arms,
    describe_difference,
    list_second_half,
    mean_reward,
)
from lightning_nas.report.judged import TABLE, compare_networks, read_better_share
from lightning_nas.report.record import RunRecord
from lightning_nas.report.shares import Collapse, find_collapse
from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    MIN_EVALUATIONS,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    Difference,
    compare_means,
    estimate_mean,
)
from lightning_nas.storage.run_folder import COMPLETE, shell_path
from lightning_nas.storage.trial import DERIVED

ANSWERS = {
    BETTER: "Yes.",
    CANNOT_TELL: "Cannot tell.",
    NO_BETTER: "No better.",
    WORSE: "No, it did worse.",
    NOT_ENOUGH: "",
}
TONES = {BETTER: "good", WORSE: "bad"}  # CSS classes
QUESTION = "Did the search beat random search?"
RANDOM_SEARCH = "all architectures are sampled uniformly, so there is no comparison."
MORE_ARCHITECTURES = 20  # random architectures, in the advice to train more
LEARNED = 0.99  # share of the entropy of uniform sampling; above it, a controller hardly learned
BETTER_SHARE = 0.8  # of the random architectures, for a "Yes" of ENAS


@dataclass(frozen=True)
class Verdict:
    """The verdict of a report.

    Args:
        answer: Short answer; may be empty.
        words: Sentences that continue the answer.
        tone: CSS class of the answer; empty for an answer without colour.
        command: Command that the sentences end with; may be empty.
    """

    answer: str
    words: str
    tone: str = ""
    command: str = ""

    @property
    def short_answer(self) -> str:
        """The answer inside a sentence."""
        return self.answer.rstrip(":.") or NOT_ENOUGH

    def __str__(self) -> str:
        """Return question, answer and explanation in one line."""
        return " ".join(filter(None, (QUESTION, self.answer, self.words, self.command)))


IS_RANDOM_SEARCH = Verdict("This is random search:", RANDOM_SEARCH)


def make_verdict(verdict: str, words: str) -> Verdict:
    """Return a verdict with its answer and colour."""
    return Verdict(ANSWERS[verdict], words, TONES.get(verdict, ""))


def describe_verdict(record: RunRecord) -> Verdict:
    """Return the verdict on one search."""
    if record.is_random_search:
        return IS_RANDOM_SEARCH
    if record.shares_weights:
        return _describe_shared_search(record)
    return _describe_trial_search(record)


def decide(record: RunRecord, comparison: Comparison) -> tuple[str, list[str]]:
    """Return the verdict of a comparison, and the reasons against a "Yes", as clauses."""
    verdict = comparison.difference.verdict
    if verdict != BETTER:
        return verdict, []
    doubts = list_doubts(record)
    return (CANNOT_TELL if doubts else BETTER), doubts


def decide_runs(verdict: str, records: Sequence[RunRecord]) -> tuple[str, list[str]]:
    """Return the verdict on runs with equal settings, and the reason against a "Yes", as clauses.

    Args:
        verdict: Verdict of a difference over the runs.
        records: The runs.
    """
    if verdict != BETTER:
        return verdict, []
    doubts = [found for record in records if (found := list_doubts(record))]
    if 2 * len(doubts) < len(records):
        return BETTER, []
    return CANNOT_TELL, [f"in {len(doubts)} of {len(records)} runs {doubts[0][0]}"]


def list_doubts(record: RunRecord) -> list[str]:
    """Return the reasons why a measured gain is not a merit of the search, as clauses."""
    doubts = [_doubt_rank(record), _doubt_accuracy(record), _doubt_entropy(record)]
    return [doubt for doubt in doubts if doubt]


def _doubt_rank(record: RunRecord) -> str:
    share = read_better_share(record) if record.shares_weights else None
    if share is None or share >= BETTER_SHARE:
        return ""
    return f"the derived architecture is better than only {share:.0%} of the random architectures"


def _doubt_accuracy(record: RunRecord) -> str:
    trials = record.select_arms(DERIVED) if record.shares_weights else list_second_half(record)[0]
    accuracies = [trial.outcome.accuracies[-1] for trial in trials if trial.outcome.accuracies]
    guessing = _find_guessing(record)
    if guessing is None or not accuracies:
        return ""
    mean = estimate_mean(accuracies)
    if mean.low > guessing:
        return ""
    return (
        f"the mean accuracy of its architectures, {mean.value:.2%}, is not measurably above that "
        f"of guessing, {guessing:.2%}"
    )


def _find_guessing(record: RunRecord) -> float | None:
    """Return the accuracy of guessing; None if it is unknown: for older runs and for tables."""
    classes = record.summary.get("classes")
    return record.summary.get("largest_share") or 1 / classes if classes else None


def _doubt_entropy(record: RunRecord) -> str:
    fall = measure_entropy_fall(record)
    if fall is None or fall.low > 0:
        return ""
    return f"the entropy of the controller has not fallen measurably ({-fall.value:+.2f} nats)"


def measure_entropy_fall(record: RunRecord) -> Difference | None:
    """Return the entropy of the controller at the start minus that at the end, in nats.

    Returns:
        None if the method has no controller.
    """
    start, end = record.entropies
    return compare_means(estimate_mean(start), estimate_mean(end)) if start else None


# ---- sentences -----------------------------------------------------------------------------------


def describe_short_search(record: RunRecord) -> str:
    """Return sentences on a controller that hardly learned, and what to set for a longer search.

    Returns:
        The empty string if the controller learned or collapsed, or the search is not complete.
    """
    if record.is_random_search or record.summary.get("status") != COMPLETE:
        return ""
    collapse = find_collapse(record)
    if collapse is not None and collapse.is_collapsed:
        return ""
    reason = _describe_entropy(collapse) or _describe_guessing(record)
    if not reason:
        return ""
    group, name = ("trainer", "max_epochs") if record.shares_weights else ("method", "samples")
    setting, value = f"{group}.{name}", (record.config.get(group) or {}).get(name)
    if minutes := record.config.get("minutes"):  # they have shortened the other setting
        setting, value = "minutes", minutes
    advice = f" To search longer, raise {setting} (it was {value})." if value else ""
    return f"The controller has hardly learned: {reason}. The search may be too short.{advice}"


def _describe_entropy(collapse: Collapse | None) -> str:
    if collapse is None or collapse.entropy is None or collapse.entropy < LEARNED:
        return ""
    return f"at the end, its entropy is {collapse.entropy:.1%} of that of uniform sampling"


def _describe_guessing(record: RunRecord) -> str:
    """Return whether the rewards of ENAS, which are accuracies, are as low as those of guessing."""
    guessing = _find_guessing(record)
    rewards = mean_reward(list_second_half(record)[0])
    if not record.shares_weights or guessing is None or rewards.evaluations < MIN_EVALUATIONS:
        return ""
    if rewards.low > guessing:
        return ""
    return (
        f"in the second half of the search, its mean reward, {rewards.value:.2%}, is not "
        f"measurably above the accuracy of guessing, {guessing:.2%}"
    )


def _describe_shared_search(record: RunRecord) -> Verdict:
    networks = compare_networks(record)
    if networks is None or networks.difference.verdict == NOT_ENOUGH:
        words, command = _advise_judge(record, networks)
        return Verdict("Not judged yet.", words, command=command)
    verdict, doubts = decide(record, networks)
    share = read_better_share(record)
    how = "Trained from scratch and tested on images that rewarded no architecture"
    seeds = f" ({networks.search.count} seeds)"
    if record.judgement["images"] == TABLE:  # the mean over all trainings there, without a spread
        how, seeds = "In the table of trained networks", ""
    words = (
        f"{how}, the derived architecture has a mean accuracy of {networks.search.value:.2%}"
        f"{seeds}, {networks.random_arm.count} random architectures "
        f"{networks.random_arm.value:.2%}: {describe_difference(networks.difference)} "
        f"It is better than {share:.0%} of them."
    )
    return make_verdict(verdict, words + describe_doubts(verdict, networks.difference, doubts))


def _advise_judge(record: RunRecord, networks: Comparison | None) -> tuple[str, str]:
    """Return sentences on what is missing, and the command that makes up for it."""
    judge = f"python -m lightning_nas.judge {shell_path(record.folder)}"
    if networks is not None:
        return (
            f"Fewer than {MIN_EVALUATIONS} networks of one of the two arms were trained from "
            "scratch. To train more:",
            f"{judge} --architectures {MORE_ARCHITECTURES} --derived-seeds {MIN_EVALUATIONS}",
        )
    shared = compare_arms(record)[0].difference
    words = (
        "Rewards under shared weights cannot answer the question, because the weights were trained "
        "on samples of the controller."
    )
    if shared.verdict != NOT_ENOUGH:
        words += f" They show {describe_difference(shared)}"
    return f"{words} To train the derived and some random architectures from scratch:", judge


def _describe_trial_search(record: RunRecord) -> Verdict:
    first, *others = compare_arms(record)
    verdict, doubts = decide(record, first)
    if verdict == NOT_ENOUGH:
        words = (
            "Not enough data to say whether the search beat random search: fewer than "
            f"{MIN_EVALUATIONS} {first.unit}. Run a longer search, or one with a larger random "
            "arm: method.control=0.3."
        )
        return Verdict("", words)
    words = (
        f"In the {first.when}, the search had a mean reward of {first.search.value:.4f}, the "
        f"random arm {first.random_arm.value:.4f}: {describe_difference(first.difference)}"
    )
    words += describe_doubts(verdict, first.difference, doubts)
    different = {
        one.when: one.difference.verdict
        for one in others
        if one.difference.verdict not in (first.difference.verdict, NOT_ENOUGH)
    }
    return make_verdict(verdict, words + _describe_others(different))


def _describe_others(verdicts: Mapping[str, str]) -> str:
    return "".join(f" In the {when}: {VERDICT_WORDS[one]}." for when, one in verdicts.items())


def describe_doubts(verdict: str, difference: Difference, doubts: Sequence[str]) -> str:
    """Return the sentences that follow a difference, each with a leading space."""
    if doubts:
        return f" This does not count as a success, because {'; and '.join(doubts)}."
    gain = (
        f"{difference.smallest_gain:.4f} (one standard deviation of the random arm, outliers aside)"
    )
    if verdict == CANNOT_TELL:
        return f" The interval is too wide to tell: it holds 0 and a gain of {gain}."
    if verdict == NO_BETTER:
        return f" The interval excludes a gain of {gain}."
    return ""
