"""`kind: vae`: the variational autoencoder. Other kinds are subclasses of its class."""

from vaeline.models.vae import VAE

MODEL = VAE
