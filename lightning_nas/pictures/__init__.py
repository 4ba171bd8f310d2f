"""Architectures and search spaces as pictures: where shapes go, and how they are painted."""
