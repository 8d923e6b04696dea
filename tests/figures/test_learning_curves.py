import pandas as pd
from figure_checks import check_figure

from vaeline.figures.learning_curves import draw_learning_curves

HISTORY = pd.DataFrame({"epoch": [1, 2], "learning_rate": [0.1, 0.0]}).assign(
    **{f"{split}{name}": [2.0, 1.0] for split in ("", "val_") for name in ("neg_elbo", "reconstruction", "kl")}
)


def test_the_figure_has_its_title_named_axes_and_the_same_bytes_twice(tmp_path):
    check_figure(lambda: draw_learning_curves(HISTORY, "A title"), tmp_path)
