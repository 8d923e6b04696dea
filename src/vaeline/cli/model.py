"""Commands that draw with a trained model: samples, reconstructions, edits and restorations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import (
    ARRAY,
    COLUMNS,
    MOST_DRAWN,
    PANEL,
    PICTURE,
    InvertOption,
    ModelOption,
    OutOption,
    PathsArgument,
    SeedOption,
    TemperatureOption,
    check_out,
    columns_for,
    counted,
    drawn,
    finite,
    open_model,
    pictures,
    require_posterior,
    short_name,
    titled,
    write_images,
)
from vaeline.errors import VaelineError
from vaeline.outputs import MODEL

if TYPE_CHECKING:
    import numpy as np

    from vaeline.images.spec import ImageSpec
    from vaeline.latents.reference import Reference
    from vaeline.registry.resolve import LoadedModel

Steps = Annotated[int, typer.Option(min=2, max=50, help="The number of images in a row.")]


@app.command(rich_help_panel=PANEL)
def sample(
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="The number of images.")] = 25,
    digit: Annotated[str, typer.Option(help="Only this class, by name. For conditional models.")] = "",
    temperature: TemperatureOption = 1.0,
    seed: SeedOption = 1,
    model: ModelOption = MODEL,
    out: OutOption = Path("samples.png"),
) -> None:
    """Draw new images from the prior.

    Reads the model. Writes the images to --out.

    Example: vaeline sample -n 40 --out samples.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        found = open_model(model)
        from keras import ops

        from vaeline.figures.sheets import draw_grid

        label = _label(digit, found) if digit else None
        images = ops.convert_to_numpy(found.model.sample(n, seed, temperature, label))
        shown = drawn(n, MOST_DRAWN, out)
        of = f" of {digit}" if digit else ""
        title = titled(f"samples{of} from the prior, temperature {temperature:g}", found)
        write_images(
            out, images, lambda: draw_grid(images[:shown], columns_for(shown), title, ink=found.model.image.is_ink)
        )
        typer.echo(f"{out}: {counted(n, 'sample')}, seed {seed}")


@app.command(rich_help_panel=PANEL)
def reconstruct(
    paths: PathsArgument,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: OutOption = Path("reconstructions.png"),
) -> None:
    """Encode pictures and decode them again.

    Reads the pictures and the model. Writes the originals and their reconstructions to --out.

    Example: vaeline reconstruct scans/ --out reconstructions.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        found = open_model(model)
        with pictures(paths, found, invert) as given:
            from vaeline.evaluation.inference import decode, encode
            from vaeline.figures.sheets import draw_pairs

            images = decode(found.model, encode(found.model, given.images)[0])
            shown = drawn(len(images), MOST_DRAWN // 2, out)
            stages = {"original": given.images[:shown], "reconstruction": images[:shown]}
            title = titled("pictures and their reconstructions", found)
            write_images(
                out, images, lambda: draw_pairs(stages, min(shown, COLUMNS), title, ink=found.model.image.is_ink)
            )
            typer.echo(f"{out}: {counted(len(images), 'image')}")


@app.command(rich_help_panel=PANEL)
def interpolate(
    start: Annotated[str, typer.Argument(help="A picture, or the name of a class, which stands for its mean latent.")],
    end: Annotated[str, typer.Argument(help="A picture or the name of a class.")],
    steps: Steps = 12,
    path: Annotated[Literal["linear", "spherical"], typer.Option(help="A straight line, or an arc.")] = "linear",
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: OutOption = Path("interpolation.png"),
) -> None:
    """Interpolate in latent space from one picture or class to another.

    Reads the two pictures, or the class means of the model. Writes a row of images to --out.

    Example: vaeline interpolate 3 8 --steps 12 --out interpolation.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        found = open_model(model)
        import numpy as np

        from vaeline.evaluation.inference import decode
        from vaeline.figures.sheets import draw_sheet
        from vaeline.latents.interpolation import PATHS

        ends = [_find_end(text, found, invert) for text in (start, end)]
        images = decode(found.model, PATHS[path](ends[0].latent, ends[1].latent, steps))
        pictured = [[end.picture] if end.picture is not None else [] for end in ends]
        row = np.stack([*pictured[0], *images, *pictured[1]])
        shares = [f"{share:.2f}" for share in np.linspace(0, 1, steps)]
        names = [*("original" for _ in pictured[0]), *shares, *("original" for _ in pictured[1])]
        title = titled(f"{short_name(start)} to {short_name(end)}, {path} path", found)
        write_images(out, images, lambda: draw_sheet([row], title, column_names=names, ink=found.model.image.is_ink))
        typer.echo(f"{out}: {steps} images from {start} to {end}")


@app.command(rich_help_panel=PANEL)
def traverse(
    center: Annotated[
        str, typer.Option("--from", help="Start from this picture, or the mean of this class. Default: the origin.")
    ] = "",
    steps: Steps = 11,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: OutOption = Path("traversal.png"),
) -> None:
    """Show the effect of each latent: one row for each, with all other latents fixed.

    Reads the model and the picture or class mean of --from. Each latent goes over the range of the prior. Writes the
    images to --out.

    Example: vaeline traverse --from 3 --out traversal.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        found = open_model(model)
        import numpy as np

        from vaeline.evaluation.inference import decode
        from vaeline.figures.sheets import draw_sheet
        from vaeline.latents.traversal import traverse as sweep

        if found.model.has_codes:
            raise VaelineError(f"traverse: this model ({found.model.title}) has codes, which cannot be swept")
        center = center or (found.read_reference().classes[0] if found.model.is_conditional else "")
        held = _find_end(center, found, invert).latent if center else np.zeros(found.model.latent_dim)
        latents, values = sweep(held, steps, found.model.latent_dim - found.model.label_dim)
        images = decode(found.model, latents)
        names = [f"z{dimension + 1}" for dimension in range(len(images))]
        around = f"around {short_name(center) or 'the origin'}"
        title = titled(f"each latent over the prior, {around}", found)
        write_images(
            out,
            images,
            lambda: draw_sheet(
                list(images), title, names, [f"{value:.2f}" for value in values], ink=found.model.image.is_ink
            ),
        )
        typer.echo(f"{out}: {counted(len(images), 'latent')}, {steps} values each")


@app.command(rich_help_panel=PANEL)
def edit(
    paths: PathsArgument,
    attribute: Annotated[str, typer.Option(help="The attribute to change: slant or thickness.")] = "",
    from_class: Annotated[str, typer.Option(help="The class to start from. Needs --to-class.")] = "",
    to_class: Annotated[str, typer.Option(help="The class to go to. Needs --from-class.")] = "",
    amount: Annotated[
        float | None,
        typer.Option(
            callback=finite,
            help="For --attribute: standard deviations in both directions, default 2. For classes: the share of the "
            "way, default 1.",
        ),
    ] = None,
    steps: Steps = 7,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: OutOption = Path("edits.png"),
) -> None:
    """Change one property of pictures: the slant, the thickness or the class.

    Reads the pictures, the model and its latent reference. Writes a row of images for each picture to --out.

    Example: vaeline edit scans/ --attribute slant --out edits.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        if bool(attribute) == bool(from_class and to_class) or bool(from_class) != bool(to_class):
            raise VaelineError("edit: name either --attribute, or both --from-class and --to-class")
        found = open_model(model)
        import numpy as np

        from vaeline.evaluation.inference import decode, encode
        from vaeline.figures.sheets import draw_sheet
        from vaeline.latents.attributes import edit as move

        reference = found.read_reference()
        if attribute:
            direction, most = _attribute(reference, attribute), 2.0 if amount is None else amount
            amounts, what = np.linspace(-most, most, steps), f"{attribute}, changed by standard deviations"
        else:
            direction = _class_mean(reference, to_class) - _class_mean(reference, from_class)
            amounts = np.linspace(0, 1 if amount is None else amount, steps)
            what = f"from {from_class} towards {to_class}, by shares of the way"
        with pictures(paths, found, invert) as given:
            z_mean, _ = encode(found.model, given.images)
            images = decode(found.model, move(z_mean, direction, amounts))
            shown = drawn(len(images), MOST_DRAWN // (steps + 1), out)
            rows = [np.stack([given.images[row], *images[row]]) for row in range(shown)]
            names = [short_name(name) for name in given.names[:shown]]
            columns = ["original", *(f"{value:.2f}" for value in amounts)]
            write_images(
                out, images, lambda: draw_sheet(rows, titled(what, found), names, columns, ink=found.model.image.is_ink)
            )
            typer.echo(f"{out}: {counted(len(images), 'image')}, {steps} amounts each")


@app.command(rich_help_panel=PANEL)
def restore(
    how: Annotated[Literal["denoise", "inpaint"], typer.Argument(help="Remove noise, or fill in a missing part.")],
    paths: PathsArgument,
    mask: Annotated[str, typer.Option(help="For inpaint: x,y,width,height of the missing part, in pixels.")] = "",
    add_noise: Annotated[
        float, typer.Option(min=0, max=10, callback=finite, help="First add noise with this standard deviation.")
    ] = 0.0,
    seed: SeedOption = 1,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: OutOption = Path("restored.png"),
) -> None:
    """Remove noise from pictures, or fill in a missing part.

    Reads the pictures and the model. Writes the pictures and their restorations to --out.

    Example: vaeline restore inpaint scans/ --mask 10,10,8,8 --out restored.png
    """
    with sentences():
        check_out(out, PICTURE, ARRAY)
        if (how == "inpaint") != bool(mask):
            raise VaelineError("restore: inpaint needs --mask x,y,width,height, and denoise takes none")
        found = open_model(model)
        require_posterior("restore", found)
        missing = _mask(mask, found.model.image) if mask else None
        with pictures(paths, found, invert) as given:
            import numpy as np

            from vaeline.figures.sheets import draw_pairs
            from vaeline.restoration.damage import add_noise as with_noise
            from vaeline.restoration.restore import denoise, inpaint

            damaged = with_noise(given.images, add_noise, seed) if add_noise else given.images
            if missing is None:
                images, seen = denoise(found.model, damaged), damaged
            else:
                images = inpaint(found.model, damaged, missing)
                seen = np.where(missing, np.nan, damaged)
            was_damaged = add_noise or missing is not None
            stages = {"given": given.images, "damaged": seen} if was_damaged else {"given": given.images}
            stages["restored"] = images
            shown = drawn(len(images), MOST_DRAWN // len(stages), out)
            stages = {name: stage[:shown] for name, stage in stages.items()}
            title = titled("pictures, denoised" if how == "denoise" else "pictures, a missing part filled in", found)
            write_images(
                out, images, lambda: draw_pairs(stages, min(shown, COLUMNS), title, ink=found.model.image.is_ink)
            )
            typer.echo(f"{out}: {counted(len(images), 'image')} restored")


class _End(NamedTuple):
    """A latent (latent_dim,), and the picture (height, width, channels) that it was encoded from, if any."""

    latent: "np.ndarray"
    picture: "np.ndarray | None"


def _find_end(text: str, found: "LoadedModel", invert: bool) -> _End:
    """One end of an interpolation: a picture, or the mean of the class of this name."""
    from vaeline.images.reader import is_readable

    path = Path(text)
    if is_readable(path) or path.is_file():
        return _read_end(path, found, invert)
    return _End(_class_mean(found.read_reference(), text), None)


def _read_end(path: Path, found: "LoadedModel", invert: bool) -> _End:
    from vaeline.evaluation.inference import encode
    from vaeline.images.named import read_named_images
    from vaeline.params.data import own_limits

    images = read_named_images([path], found.model.image, invert, own_limits()).images
    if len(images) != 1:
        raise VaelineError(f"{path}: holds {len(images)} images, one is needed")
    return _End(encode(found.model, images)[0][0], images[0])


def _class_mean(reference: "Reference", name: str) -> "np.ndarray":
    if name not in reference.classes:
        raise VaelineError(f"{name!r} is neither a picture nor a class; the classes are {', '.join(reference.classes)}")
    return reference.class_means[reference.classes.index(name)]


def _label(name: str, found: "LoadedModel") -> int:
    """The number of the class of that name."""
    if not found.model.is_conditional:
        raise VaelineError(
            f"--digit {name}: this model ({found.model.title}) is not conditioned on classes; model.kind: cvae is"
        )
    classes = found.read_reference().classes
    if name not in classes:
        raise VaelineError(f"--digit {name}: no such class; the classes are {', '.join(classes)}")
    return classes.index(name)


def _attribute(reference: "Reference", name: str) -> "np.ndarray":
    if name not in reference.attributes:
        raise VaelineError(f"no attribute {name!r}; there are: {', '.join(reference.attributes)}")
    return reference.attributes[name]


def _mask(text: str, image: "ImageSpec") -> "np.ndarray":
    from vaeline.restoration.damage import rectangle

    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise VaelineError(f"--mask {text}: expected four whole numbers x,y,width,height") from None
    return rectangle(image, x, y, width, height)
