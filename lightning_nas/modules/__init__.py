"""LightningModules of child, supernet and controller. Each can be fitted alone."""
