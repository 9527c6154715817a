"""What a run leaves on disk to resume from."""
