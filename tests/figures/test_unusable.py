import csv
import struct
import zlib

import numpy as np
from PIL import Image

from vaeline.figures.unusable import draw_unusable, write_table
from vaeline.images.parallel import Unusable


def test_every_file_is_in_the_table_and_what_decodes_is_on_the_sheet(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype="uint8"))
    noise.save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:4000])
    (tmp_path / "empty.png").touch()
    unusable = [Unusable(tmp_path / "cut.jpg", "a broken picture"), Unusable(tmp_path / "empty.png", "an empty file")]
    write_table(unusable * 30, tmp_path / "files.csv")
    rows = list(csv.reader((tmp_path / "files.csv").open()))
    assert rows[:2] == [["file", "reason"], [str(tmp_path / "cut.jpg"), "a broken picture"]]
    assert len(rows) == 61
    figure = draw_unusable(unusable * 30)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 40
    assert titles[1] == "empty.png\nan empty file"
    assert figure.get_suptitle() == "Files that cannot be used (40 of 60 shown)"
    assert [text.get_text() for text in figure.axes[1].texts] == ["no pixels"]
    assert figure.axes[0].images, "the upper part of a picture that is cut off is shown"


def test_a_picture_beyond_pillows_own_limit_does_not_stop_the_sheet(tmp_path):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    figure = draw_unusable([Unusable(tmp_path / "huge.png", "too large")])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no pixels"]
