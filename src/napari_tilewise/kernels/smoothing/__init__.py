"""Correlations along axes, and what is made of them: Gaussians, differences, ridges."""
