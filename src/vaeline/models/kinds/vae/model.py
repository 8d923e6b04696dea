"""`kind: vae`: the variational autoencoder itself, whose class other kinds build on."""

from vaeline.models.vae import VAE

MODEL = VAE
