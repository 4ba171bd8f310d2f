"""Layers and operations of the networks, without knowledge of architectures or searches."""
