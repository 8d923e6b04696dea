"""The models there are: what `model.kind` may be, and the class behind it. A new model is a file and a line here."""

FAMILY = {
    "autoencoder": "vaeline.models.autoencoder:Autoencoder",
    "cvae": "vaeline.models.cvae:ConditionalVAE",
    "iwae": "vaeline.models.iwae:IWAE",
    "vae": "vaeline.models.vae:VAE",
    "vqvae": "vaeline.models.vqvae:VQVAE",
}
