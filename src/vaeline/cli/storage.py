"""Commands that write latents and pictures as files: encode, decode, augment, compress and decompress."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import (
    ARRAY,
    COLUMNS,
    MOST_DRAWN,
    PANEL,
    PICTURE,
    ForceOption,
    InvertOption,
    ModelOption,
    OutOption,
    PathsArgument,
    SeedOption,
    TemperatureOption,
    check_out,
    check_target,
    columns_for,
    counted,
    drawn,
    finite,
    open_model,
    pictures,
    require_posterior,
    titled,
    write_folder,
    write_images,
    write_picture,
    writing,
)
from vaeline.errors import VaelineError
from vaeline.outputs import MODEL

if TYPE_CHECKING:
    import numpy as np

    from vaeline.latents.reference import Reference


@app.command(rich_help_panel=PANEL)
def encode(
    paths: PathsArgument,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="An .npy of means with a .csv of names beside it, or an .npz of everything."),
    ] = Path("latents.npy"),
) -> None:
    """Encode pictures as latents.

    Reads the pictures and the model. Writes the latents to --out.

    Example: vaeline encode scans/ --out latents.npz
    """
    with sentences():
        check_out(out, ARRAY, ".npz")
        found = open_model(model)
        with pictures(paths, found, invert) as given:
            from vaeline.evaluation.inference import encode as to_latents
            from vaeline.latents.files import write_latents

            with writing(out):
                written = write_latents(out, given.names, *to_latents(found.model, given.images))
            typer.echo(f"{', '.join(map(str, written))}: the latents of {counted(len(given.names), 'image')}")


@app.command(rich_help_panel=PANEL)
def decode(
    file: Annotated[Path, typer.Argument(help="Latents (count, latent_dim): an .npy, or an .npz of `encode`.")],
    model: ModelOption = MODEL,
    out: OutOption = Path("decoded.png"),
) -> None:
    """Decode latents into images.

    Reads the latents and the model. Writes the images to --out.

    Example: vaeline decode latents.npz --out decoded.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        found = open_model(model)
        from vaeline.evaluation.inference import decode as to_images
        from vaeline.figures.sheets import draw_grid
        from vaeline.latents.files import read_latents

        images = to_images(found.model, read_latents(file, found.model.latent_dim))
        shown = drawn(len(images), MOST_DRAWN, out)
        title = titled(f"latents of {file.name}, decoded", found)
        write_images(
            out, images, lambda: draw_grid(images[:shown], columns_for(shown), title, ink=found.model.image.is_ink)
        )
        typer.echo(f"{out}: {counted(len(images), 'image')}")


@app.command(rich_help_panel=PANEL)
def augment(
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="The number of images of each class.")] = 100,
    temperature: TemperatureOption = 1.0,
    seed: SeedOption = 1,
    force: ForceOption = False,
    model: ModelOption = MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A folder with one folder for each class, or a .png picture.")
    ] = Path("augmented"),
) -> None:
    """Make new labelled images near training images, class by class.

    Reads the model and its latent reference. Writes the images to --out.

    Example: vaeline augment -n 100 --out augmented
    """
    with sentences():
        check_target(out, force, PICTURE)
        found = open_model(model)
        import numpy as np
        from tqdm import tqdm

        from vaeline.evaluation.inference import decode
        from vaeline.latents.reference import draw_around

        require_posterior("augment", found)
        reference = found.read_reference()
        drawn_by_class = {}
        for label, name in enumerate(tqdm(reference.classes, desc="classes", disable=None, leave=False)):
            if Path(name).name != name:
                raise VaelineError(f"the class {name!r} cannot be the name of a folder")
            rng = np.random.default_rng([seed, label])
            latents = draw_around(*_posteriors(reference, label), n, temperature, rng)
            drawn_by_class[name] = decode(found.model, latents)
        if out.suffix == PICTURE:
            from vaeline.figures.sheets import draw_sheet

            rows, title = (
                [images[: 2 * COLUMNS] for images in drawn_by_class.values()],
                titled("new images of each class", found),
            )
            write_picture(out, draw_sheet(rows, title, reference.classes, ink=found.model.image.is_ink))
        else:
            digits = max(3, len(str(n - 1)))
            files = {
                f"{name}/{index:0{digits}}{PICTURE}": image
                for name, images in drawn_by_class.items()
                for index, image in enumerate(images)
            }
            write_folder(out, files)
        typer.echo(f"{out}: {counted(n, 'image')} of each class, seed {seed}")


@app.command(rich_help_panel=PANEL)
def compress(
    paths: PathsArgument,
    step: Annotated[
        float, typer.Option(min=0.001, max=10, callback=finite, help="The step to which latents are rounded.")
    ] = 0.1,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: Annotated[Path, typer.Option("--out", "-o", help="An .vae file.")] = Path("images.vae"),
) -> None:
    """Compress pictures as rounded latents. The compression is lossy.

    Reads the pictures and the model. Writes one .vae file to --out.

    Example: vaeline compress scans/ --out images.vae
    """
    with sentences():
        check_out(out, ".vae")
        found = open_model(model)
        if found.model.noise_dim != found.model.latent_dim:
            raise VaelineError(f"compress: the latents of this model ({found.model.title}) are not all normal numbers")
        with pictures(paths, found, invert) as given:
            from vaeline.artifacts import atomic_file
            from vaeline.compression.coder import dequantize, pack, png_bits, quantize
            from vaeline.compression.container import Compressed, to_bytes
            from vaeline.evaluation.inference import decode, encode
            from vaeline.images.arrays import to_uint8

            codes = quantize(encode(found.model, given.images)[0], step)
            data = to_bytes(Compressed(found.model_sha256, step, _relative(given.names), codes))
            with writing(out), atomic_file(out) as temporary:
                temporary.write_bytes(data)
            error = float(((decode(found.model, dequantize(codes, step)) - given.images) ** 2).mean())
            sizes = [8 * size / len(codes) for size in (len(pack(codes, step)), len(data))]
            sizes.append(png_bits(to_uint8(given.images)).mean())
            typer.echo(
                f"{out}: {counted(len(codes), 'image')}, {sizes[0]:.1f} bits each, {sizes[1]:.1f} with names and "
                f"header; as PNG {sizes[2]:.0f}; mean squared error {error:.4f} a pixel"
            )


@app.command(rich_help_panel=PANEL)
def decompress(
    file: Annotated[Path, typer.Argument(help="A .vae file of `vaeline compress`.")],
    force: ForceOption = False,
    model: ModelOption = MODEL,
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder of PNGs, an .npy file, or a .png picture.")] = Path(
        "decompressed"
    ),
) -> None:
    """Decompress pictures with the model that compressed them.

    Reads the .vae file and the model. Writes the pictures to --out.

    Example: vaeline decompress images.vae --out decompressed
    """
    with sentences():
        check_target(out, force, ARRAY, PICTURE)
        if not file.is_file():
            raise VaelineError(f"{file}: no such file")
        found = open_model(model)
        from vaeline.compression.coder import dequantize
        from vaeline.compression.container import from_bytes
        from vaeline.evaluation.inference import decode

        try:
            compressed = from_bytes(file.read_bytes())
        except VaelineError as error:
            raise VaelineError(f"{file}: {error}") from None
        if compressed.model_sha256 != found.model_sha256:
            raise VaelineError(
                f"{file}: was compressed by another model (SHA-256 {compressed.model_sha256[:12]}…) than {found.name} "
                f"({found.model_sha256[:12]}…); name the right one with --model"
            )
        images = decode(found.model, dequantize(compressed.codes, compressed.step))
        if out.suffix in (ARRAY, PICTURE):
            from vaeline.figures.sheets import draw_grid

            shown = drawn(len(images), MOST_DRAWN, out)
            title = titled(f"decompressed from {file.name}", found)
            write_images(
                out, images, lambda: draw_grid(images[:shown], columns_for(shown), title, ink=found.model.image.is_ink)
            )
        else:
            write_folder(out, dict(zip(_png_names(compressed.names), images, strict=True)))
        typer.echo(f"{out}: {counted(len(images), 'image')}")


def _posteriors(reference: "Reference", label: int) -> tuple["np.ndarray", "np.ndarray"]:
    z_mean, z_log_var = reference.posteriors(label)
    if not len(z_mean):
        raise VaelineError(f"the latent reference has no training image of the class {reference.classes[label]!r}")
    return z_mean, z_log_var


def _relative(names: Sequence[str]) -> tuple[str, ...]:
    """The names without their common folder."""
    absolute = [os.path.abspath(name) for name in names]
    common = os.path.commonpath([os.path.dirname(name) for name in absolute])
    return tuple(Path(name).relative_to(common).as_posix() for name in absolute)


def _png_names(names: Sequence[str]) -> list[str]:
    """The names of the files to write. A name that leads out of the folder is refused."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise VaelineError(f"the file names an image {name!r}, which leads out of the folder; use --out FILE.npy")
    files = [name if name.endswith(PICTURE) else f"{name}{PICTURE}" for name in names]
    if len(set(files)) < len(files):
        raise VaelineError("two images in the file have the same name; use --out FILE.npy")
    return files
