"""Train the recipe of a well-known tutorial on prepared data, for comparison with a preset.

python benchmarks/tutorial.py [EPOCHS]      needs data/prepared with grey images; prints the −ELBO of the test images

The recipe is that of the VAE example of PyTorch (github.com/pytorch/examples, folder vae): one layer of 400 units each
way, 20 latents, ReLU, grey binary cross-entropy summed over pixels, Adam at 0.001, batches of 128, 10 epochs. Its
authors publish no figure for Fashion-MNIST. All training and validation images are trained on, as there.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared
from vaeline.images.arrays import to_unit
from vaeline.params.whole import read_params

EPOCHS, BATCH, UNITS, LATENTS, RATE = 10, 128, 400, 20, 1e-3


class TutorialVAE(keras.Model):
    """Images (batch, pixels) in [0, 1] to logits; the loss is the −ELBO in nats per image."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(UNITS, "relu"), layers.Dense(2 * LATENTS)])
        self.decoder = keras.Sequential([layers.Dense(UNITS, "relu"), layers.Dense(pixels)])
        self.generator = keras.random.SeedGenerator(1)

    def call(self, images):
        z_mean, z_log_var = ops.split(self.encoder(images), 2, axis=1)
        noise = keras.random.normal(ops.shape(z_mean), seed=self.generator)
        kl = 0.5 * ops.sum(ops.square(z_mean) + ops.exp(z_log_var) - z_log_var - 1, axis=1)
        return self.decoder(z_mean + ops.exp(0.5 * z_log_var) * noise), kl

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, kl = y_pred
        crossed = ops.sum(ops.softplus(logits) - x * logits, axis=1)
        return ops.mean(crossed + kl)


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS
    fix_threads(read_params().compute.threads)
    keras.utils.set_random_seed(1)
    prepared = read_prepared(Path("data/prepared"))
    flat = {name: to_unit(split.images[:]).reshape(len(split.labels), -1) for name, split in prepared.splits.items()}
    train, test = np.concatenate([flat["train"], flat["validation"]]), flat["test"]
    model = TutorialVAE(train.shape[1])
    model.compile(optimizer=keras.optimizers.Adam(RATE))
    model.fit(train, batch_size=BATCH, epochs=epochs, verbose=2)
    print(f"{prepared.title}: −ELBO {model.evaluate(test, batch_size=BATCH, verbose=0):.2f} nats per image")


if __name__ == "__main__":
    main()
