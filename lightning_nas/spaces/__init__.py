"""Search spaces: ordered decisions and the architectures that they lead to. No torch."""
