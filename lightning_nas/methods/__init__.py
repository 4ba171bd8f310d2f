"""The algorithms of the papers, one file and one page each."""
