"""What all search methods share: base classes, loops, the random arm and the finalists."""
