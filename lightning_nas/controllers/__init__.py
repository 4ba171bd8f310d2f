"""Controllers: policies over the decisions of a space, in plain torch."""
