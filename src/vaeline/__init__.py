"""vaeline: a variational autoencoder pipeline that is trained, checked, versioned and kept fresh."""
