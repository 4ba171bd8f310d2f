"""Parts of networks that know nothing of architectures."""
