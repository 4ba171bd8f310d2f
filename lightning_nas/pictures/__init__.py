"""Pictures of architectures and of search spaces. This room knows no networks and no training."""
