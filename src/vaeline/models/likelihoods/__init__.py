"""The likelihoods of pixels, a file each; `vaeline.kinds` finds them."""
