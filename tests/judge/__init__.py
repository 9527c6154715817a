"""scikit-image's own tests as the judge of the drop-in: `python -m tests.judge` (`make judge`)."""
