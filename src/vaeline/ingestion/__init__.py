"""New batches of images: they are read, checked, and accepted or put into quarantine. Batches can be simulated."""
