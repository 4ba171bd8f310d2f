"""The order of training: what Lightning 1 had custom loops for is here a loader of phases."""
