"""The report of a search, its tables, and the command that draws an architecture."""
