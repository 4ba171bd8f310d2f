"""What happens around training: saving, resuming, interrupting, logging, writing the result."""
