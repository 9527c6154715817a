"""The task of one item: what it is, which output it may write, how its result is computed."""
