"""Images for search and training: one LightningDataModule a file, all of them `ImageData`."""
