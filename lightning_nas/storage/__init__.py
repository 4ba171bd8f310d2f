"""Run folders, journals and the trials in them. No torch, no Lightning, no Hydra."""
