"""From a trained bundle to where it is used."""
