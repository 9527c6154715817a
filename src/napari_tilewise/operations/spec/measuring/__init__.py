"""What the numbers of an operation measure, and in which unit."""
