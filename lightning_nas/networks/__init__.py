"""Networks of one architecture, and networks with shared weights for all architectures."""
