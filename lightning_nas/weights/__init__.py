"""Trained weights: their files, the network that they belong to, and how it takes them."""
