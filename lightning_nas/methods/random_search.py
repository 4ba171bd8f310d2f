"""Random search: each architecture is sampled uniformly. The baseline for all other methods."""

from lightning_nas.search.sampling import Sample
from lightning_nas.search.trial_search import TrialSearch


class RandomSearch(TrialSearch):
    """Search that learns nothing; its ``batch`` is only the interval of logging and saving."""

    def sample(self, number: int) -> Sample:
        """Return a uniformly sampled architecture."""
        return self.sample_uniformly(number)
