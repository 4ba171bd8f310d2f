"""Networks: from an architecture, or with shared weights that take one at every step."""
