import hashlib
import struct
import zlib

import numpy as np
import pytest

from vaeline.compression.container import HEADER, Compressed, from_bytes, to_bytes
from vaeline.errors import VaelineError

CODES = np.random.default_rng(0).integers(-30, 30, (5, 3)).astype("int32")
NAMES = ("a.png", "b/ü.jpg", "stack.npy[0]", "stack.npy[1]", "with\nnewline")
COMPRESSED = Compressed(hashlib.sha256(b"model").hexdigest(), 0.1, NAMES, CODES)
DATA = to_bytes(COMPRESSED)


def test_all_of_it_comes_back():
    found = from_bytes(DATA)
    np.testing.assert_array_equal(found.codes, CODES)
    assert (found.model_sha256, found.step, found.names) == (COMPRESSED.model_sha256, 0.1, NAMES)


def test_the_layout_is_the_documented_one():
    magic, version, model, count, latent_dim, step = struct.unpack_from("<8sH32sIId", DATA)
    assert (magic, version, count, latent_dim, step) == (b"\x89VAE\r\n\x1a\n", 1, 5, 3, 0.1)
    assert model.hex() == COMPRESSED.model_sha256
    name_bytes, _ = struct.unpack_from("<II", DATA, 58)
    assert zlib.decompress(DATA[66 : 66 + name_bytes]).decode() == "\0".join(NAMES)
    assert struct.unpack("<I", DATA[-4:])[0] == zlib.crc32(DATA[:-4])


@pytest.mark.parametrize("position", range(len(DATA)))
def test_every_altered_byte_and_every_cut_is_noticed(position):
    altered = bytearray(DATA)
    altered[position] ^= 0x10
    for broken in (bytes(altered), DATA[:position], DATA + DATA[:position] + b"\0"):
        with pytest.raises(VaelineError):
            from_bytes(broken)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a file of `vaeline compress`"),
        (b"\x89PNG\r\n\x1a\n" + DATA[8:], "not a file of `vaeline compress`"),
        (DATA[:40], "cut off after 40 bytes"),
        (DATA[:8] + b"\x02\0" + DATA[10:], "version 2"),
        (DATA[:-1], "cut off or was changed"),
        (DATA[: HEADER.size] + b"?" + DATA[HEADER.size + 1 :], "its checksum is wrong"),
    ],
)
def test_what_is_wrong_is_said(data, sentence):
    with pytest.raises(VaelineError, match=sentence):
        from_bytes(data)
