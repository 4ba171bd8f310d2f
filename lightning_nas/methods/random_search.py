"""Random search: every architecture drawn uniformly from the space. What others are to beat."""

from lightning_nas.controllers.uniform import UniformController
from lightning_nas.search.trial_search import Draw, TrialSearch, unpack_draw


class RandomSearch(TrialSearch):
    """Learns nothing; ``batch`` says only how often the search is logged and saved."""

    def draw(self, number: int) -> Draw:
        """Return a uniformly drawn architecture."""
        return unpack_draw(UniformController(self.space_at(number)).sample(1))
