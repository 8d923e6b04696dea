"""Where a model comes from, what came of a data set, and whether all that is said of it is still so."""
