"""New batches of images: simulated."""
