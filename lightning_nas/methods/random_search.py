"""Random search: every architecture drawn uniformly from the space. What others are to beat."""

from lightning_nas.controllers.uniform import UniformController
from lightning_nas.methods.trial_search import Drawn, TrialSearch, drawn


class RandomSearch(TrialSearch):
    """Learns nothing; ``batch`` says only how often the search is logged and saved."""

    def draw(self, number: int) -> Drawn:
        """Return a uniformly drawn architecture."""
        return drawn(UniformController(self.space_at(number)).sample(1))
