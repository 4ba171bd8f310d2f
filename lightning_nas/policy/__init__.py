"""Losses and baselines of policy gradients, in plain torch."""
