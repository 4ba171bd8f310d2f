"""The LightningModules that methods pair. Each fits alone, too."""
