"""A campaign against the commands: kills, signals, dead workers, full disks, malformed inputs."""
