"""Seeded mutations of valid input through every door: files, recipes, records, journals, ..."""
