"""Runs on patients as bags of slices: two steps, from a type to a grade."""
