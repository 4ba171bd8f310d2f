"""The commands `search.py` and `train.py`. Hydra is used here and in `judge` only."""
