"""The file of `vaeline compress`: the codes of many images, and the digest of the model that can read them.

All numbers are little-endian. The header: magic (8 bytes), version (u16), SHA-256 of the model's archive (32 bytes),
images (u32), latent dimensions (u32), step (f64), bytes of names (u32), bytes of code (u32). After it come the names
(UTF-8, separated by NUL, deflated), the code (the bytes of `coder.pack`), and the CRC-32 of all earlier bytes (u32).
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from vaeline.compression.coder import pack, unpack
from vaeline.errors import VaelineError

MAGIC = b"\x89VAE\r\n\x1a\n"
VERSION = 1
HEADER = struct.Struct("<8sH32sIIdII")
CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Compressed:
    """The codes of images in units of `step`, and the name of each image."""

    model_sha256: str
    step: float
    names: tuple[str, ...]
    codes: Integer[np.ndarray, "count latent_dim"]


def to_bytes(compressed: Compressed) -> bytes:
    """The whole file."""
    names = zlib.compress("\0".join(compressed.names).encode(), 9)
    code = pack(compressed.codes, compressed.step)
    model = bytes.fromhex(compressed.model_sha256)
    header = HEADER.pack(MAGIC, VERSION, model, *compressed.codes.shape, compressed.step, len(names), len(code))
    content = header + names + code
    return content + CHECKSUM.pack(zlib.crc32(content))


def from_bytes(data: bytes) -> Compressed:
    """Read the bytes of `to_bytes`.

    Raises:
        VaelineError: the data are not such a file, have another version, are cut off, or were changed.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise VaelineError("not a file of `vaeline compress`")
    if len(data) < HEADER.size + CHECKSUM.size:
        raise VaelineError(f"the file is cut off after {len(data)} bytes")
    _, version, model, count, latent_dim, step, name_bytes, code_bytes = HEADER.unpack_from(data)
    if version != VERSION:
        raise VaelineError(f"the file has version {version} of the format, and this vaeline reads version {VERSION}")
    size = HEADER.size + name_bytes + code_bytes + CHECKSUM.size
    if len(data) != size:
        raise VaelineError(f"the file is cut off or was changed: it has {len(data)} bytes, its header says {size}")
    content = data[: -CHECKSUM.size]
    if zlib.crc32(content) != CHECKSUM.unpack(data[-CHECKSUM.size :])[0]:
        raise VaelineError("the file was changed: its checksum is wrong")
    names = zlib.decompress(content[HEADER.size : HEADER.size + name_bytes]).decode().split("\0")
    if len(names) != count:
        raise VaelineError(f"the file names {len(names)} images but holds {count}")
    codes = unpack(content[HEADER.size + name_bytes :], count, latent_dim, step)
    return Compressed(model.hex(), step, tuple(names), codes)
