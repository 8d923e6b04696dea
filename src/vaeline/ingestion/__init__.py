"""New batches of images: read, checked, accepted or put into quarantine; simulated."""
