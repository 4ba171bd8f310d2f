"""Base classes of the search methods, their loops, the random arm and the finalists."""
