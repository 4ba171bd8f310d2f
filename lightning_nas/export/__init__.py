"""Export of trained networks to files that other programs run without this project."""
