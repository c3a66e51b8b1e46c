"""What the first bytes of an image file say, without decoding it.

PNG: width and height are the first numbers of its first chunk (RFC 2083). JPEG: they stand in the
frame header, after other segments that have their length in front (ITU-T T.81, annex B).
"""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
# Windows bitmaps, TIFF of both byte orders, WebP: OpenCV decodes them too.
OTHERS = (b"BM", b"II*\x00", b"MM\x00*", b"RIFF")

_PNG_SIZE = struct.Struct(">4s4sII")
_SEGMENT = struct.Struct(">BBH")
_FRAME_SIZE = struct.Struct(">BHH")
# Start of frame: C0 to CF but for tables and arithmetic conditioning.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class NoPicture(ValueError):
    """Bytes that are no image; the text says what they are."""


def is_picture(image: bytes) -> bool:
    """Whether the bytes begin as an image file does."""
    return image.startswith((PNG, JPEG, *OTHERS))


def size_of(image: bytes) -> tuple[int, int] | None:
    """Width and height in pixels; None for formats other than PNG and JPEG.

    Raises NoPicture for what is no image, or ends before it says its size.
    """
    if not image:
        raise NoPicture("it is empty")
    if not is_picture(image):
        raise NoPicture(f"it begins with {image[:8]!r}, which is no image format")
    try:
        if image.startswith(PNG):
            return _png_size(image)
        return _jpeg_size(image) if image.startswith(JPEG) else None
    except struct.error:
        raise NoPicture(f"it ends after {len(image)} bytes, before its size is said") from None


def _png_size(image: bytes) -> tuple[int, int]:
    _, kind, width, height = _PNG_SIZE.unpack_from(image, len(PNG))
    if kind != b"IHDR":
        raise NoPicture("it is a PNG without its header")
    return int(width), int(height)


def _jpeg_size(image: bytes) -> tuple[int, int]:
    at = 2
    while True:
        fill, marker, length = _SEGMENT.unpack_from(image, at)
        if fill != 0xFF:
            raise NoPicture(f"it is a JPEG with no segment at byte {at}")
        if marker in _FRAMES:
            _, height, width = _FRAME_SIZE.unpack_from(image, at + _SEGMENT.size)
            return int(width), int(height)
        if marker == 0xFF:  # A fill byte before the marker.
            at += 1
        else:
            at += 2 if marker in _WITHOUT_LENGTH else 2 + length
