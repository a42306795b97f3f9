"""Single slices in class folders: which there are, which are twins, how to split them, what gives the class away."""
