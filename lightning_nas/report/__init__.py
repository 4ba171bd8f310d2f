"""What people look at after a run: pictures of architectures and reports."""
