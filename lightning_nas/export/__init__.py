"""Trained networks in forms that need nothing of this project, or of another program."""
