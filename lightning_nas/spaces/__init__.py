"""Search spaces: what a controller decides, and what its decisions mean."""
