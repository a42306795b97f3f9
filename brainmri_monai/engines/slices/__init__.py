"""Runs on single slices, each with a class."""
