"""Random search: each architecture is sampled uniformly. The baseline for all other methods."""

from lightning_nas.controllers.uniform import UniformController
from lightning_nas.search.sampling import Sample, list_samples
from lightning_nas.search.trial_search import TrialSearch


class RandomSearch(TrialSearch):
    """Search that learns nothing; its ``batch`` is only the interval of logging and saving.

    With ``candidates`` above 1 it is no longer random: a surrogate chooses, and learns from one
    batch after the other.
    """

    def sample(self, number: int) -> Sample:
        """Return a uniformly sampled architecture."""
        return self.sample_uniformly(number)

    def sample_many(self, number: int, count: int) -> list[Sample]:
        """Return uniformly sampled candidates, in one pass."""
        return list_samples(UniformController(self.space_at(number)).sample(count))
