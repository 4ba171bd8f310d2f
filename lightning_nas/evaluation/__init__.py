"""From an architecture to its reward: training a child, or looking it up; one or many at once."""
