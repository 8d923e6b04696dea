"""Images: their size, their reading from files, and the arithmetic on pixels that all rooms share."""
