"""The likelihoods of pixels, one a file."""
