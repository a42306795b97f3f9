"""Runs on cases in 3D: a store, windows, label maps, and their scores."""
