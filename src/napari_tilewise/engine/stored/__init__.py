"""What outgrows memory or a process: images, columns and states of tiles on disk."""
