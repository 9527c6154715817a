"""A recipe written as a Python script."""
