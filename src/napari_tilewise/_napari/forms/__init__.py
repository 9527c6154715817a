"""Forms: an operation chosen, its parameters edited; nothing of them is written by hand."""
