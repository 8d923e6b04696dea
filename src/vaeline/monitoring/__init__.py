"""Whether new images are still like those that the champion was made for."""
