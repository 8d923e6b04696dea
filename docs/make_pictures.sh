#!/bin/sh
# Makes the pictures of docs/commands.md with the model in models/. Run it at the root, in the activated environment.
set -eu
pictures=$PWD/docs/pictures/commands
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$pictures"

python - "$scratch/digits" <<'END'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

images, labels = (np.load(f"data/prepared/test_{part}.npy") for part in ("images-00000", "labels"))
folder = Path(sys.argv[1])
folder.mkdir()
for digit in range(10):
    Image.fromarray(images[labels == digit][0, :, :, 0]).save(folder / f"{digit}.png")
END
python benchmarks/strange_pictures.py "$scratch/mixed"

digits=$scratch/digits
vaeline sample -n 40 --seed 3 --out "$pictures/sample.png"
vaeline reconstruct "$digits" --out "$pictures/reconstruct.png"
vaeline interpolate "$digits/2.png" "$digits/0.png" --out "$pictures/interpolate.png"
vaeline interpolate 1 6 --path spherical --out "$pictures/interpolate_classes.png"
vaeline traverse --from "$digits/7.png" --out "$pictures/traverse.png"
vaeline edit "$digits/1.png" "$digits/7.png" --attribute slant --out "$pictures/edit.png"
vaeline edit "$digits/6.png" --from-class 6 --to-class 0 --out "$pictures/edit_class.png"
vaeline restore denoise "$digits" --add-noise 0.4 --out "$pictures/denoise.png"
vaeline restore inpaint "$digits" --mask 0,14,28,14 --out "$pictures/inpaint.png"
vaeline encode "$digits" --out "$scratch/latents.npy"
vaeline decode "$scratch/latents.npy" --out "$pictures/decode.png"
vaeline augment -n 10 --out "$pictures/augment.png"
vaeline compress "$digits" --out "$scratch/images.vae"
vaeline decompress "$scratch/images.vae" --out "$pictures/decompress.png"
vaeline anomaly "$scratch/mixed" --out "$scratch/anomaly.csv"
cp "$scratch/anomaly.png" "$pictures/anomaly.png"
