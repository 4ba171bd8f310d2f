"""Data modules: images for searches and trainings, one data set a file."""
