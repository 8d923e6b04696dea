"""The file of `vaeline compress`: the codes of many images, and which model can read them.

Little-endian: magic (8 bytes), version (u16), SHA-256 of the model's archive (32 bytes), images (u32), latent
dimensions (u32), step (f64), bytes of names (u32), bytes of code (u32); then the names, UTF-8 with NUL between them,
deflated; the code, as `compression.pack` makes it; and CRC-32 of all that came before (u32).
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from vaeline.compression.coder import pack, unpack
from vaeline.errors import VaelineError

MAGIC = b"\x89VAE\r\n\x1a\n"
VERSION = 1
HEADER = struct.Struct("<8sH32sIIdII")
CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Compressed:
    """Codes (count, latent_dim), int32, in units of `step`, of the images called `names` (count)."""

    model_sha256: str
    step: float
    names: tuple[str, ...]
    codes: np.ndarray


def to_bytes(compressed: Compressed) -> bytes:
    """The whole file."""
    names = zlib.compress("\0".join(compressed.names).encode(), 9)
    code = pack(compressed.codes, compressed.step)
    model = bytes.fromhex(compressed.model_sha256)
    header = HEADER.pack(MAGIC, VERSION, model, *compressed.codes.shape, compressed.step, len(names), len(code))
    content = header + names + code
    return content + CHECKSUM.pack(zlib.crc32(content))


def from_bytes(data: bytes) -> Compressed:
    """What `to_bytes` packed.

    Raises:
        VaelineError: the data are no such file, of another version, cut off, or were altered.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise VaelineError("not a file of `vaeline compress`")
    if len(data) < HEADER.size + CHECKSUM.size:
        raise VaelineError(f"the file is cut off after {len(data)} bytes")
    _, version, model, count, latent_dim, step, name_bytes, code_bytes = HEADER.unpack_from(data)
    if version != VERSION:
        raise VaelineError(f"the file has version {version} of the format, this vaeline reads version {VERSION}")
    size = HEADER.size + name_bytes + code_bytes + CHECKSUM.size
    if len(data) != size:
        raise VaelineError(f"the file is cut off or altered: it has {len(data)} bytes, its header asks for {size}")
    content = data[: -CHECKSUM.size]
    if zlib.crc32(content) != CHECKSUM.unpack(data[-CHECKSUM.size :])[0]:
        raise VaelineError("the file was altered: its checksum does not fit")
    names = zlib.decompress(content[HEADER.size : HEADER.size + name_bytes]).decode().split("\0")
    if len(names) != count:
        raise VaelineError(f"the file names {len(names)} images but holds {count}")
    codes = unpack(content[HEADER.size + name_bytes :], count, latent_dim, step)
    return Compressed(model.hex(), step, tuple(names), codes)
