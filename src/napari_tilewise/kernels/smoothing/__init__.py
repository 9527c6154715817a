"""Along the lines of an image: correlations, running sums and splines, and what they make."""
