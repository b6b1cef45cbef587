"""Files as they turn up in real folders: what each must become, or what must be said of it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .files import class_folders

Color = tuple[int, int, int]
RED: Color = (255, 0, 0)
WHITE: Color = (255, 255, 255)


@dataclass(frozen=True)
class Fixture:
    """A file called `name`; it is either `shown`, a color in its upper left, or refused."""

    name: str
    content: Callable[[], bytes]
    shown: Color | None = None
    size: tuple[int, int] = (16, 16)
    reason: str = ""
    lossy: bool = False

    @property
    def path(self) -> str:
        return f"mixed/{self.name}"


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return file.getvalue()


def plain(mode: str, color: object, size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new(mode, size, color)  # type: ignore[arg-type]


def noise() -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(size: tuple[int, int], *, bits: int, kind: int, rows: bytes, palette: bytes = b"") -> bytes:
    """A PNG file by hand, for what Pillow reads but does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def damaged(content: bytes) -> bytes:
    """The bytes with some in the middle turned over."""
    middle = len(content) // 2
    turned = bytes(255 - each for each in content[middle : middle + 8])
    return content[:middle] + turned + content[middle + 8 :]


def rotated() -> bytes:
    image = plain("RGB", "white", (32, 16))
    image.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    return encoded(image, "JPEG", quality=95, exif=exif.tobytes())


def animation(format: str) -> bytes:
    other = plain("RGB", "blue")
    return encoded(
        plain("RGB", RED), format, save_all=True, append_images=[other], lossless=True, duration=40
    )


def with_exif(exif: bytes) -> bytes:
    content = encoded(plain("RGB", RED), "JPEG", quality=95)
    segment = b"Exif\0\0" + exif
    return content[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + content[2:]


def bmp_bomb() -> bytes:
    """A header of 40,000 x 40,000 pixels with nothing behind it."""
    info = struct.pack("<IiiHHIIiiII", 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def gif_bomb() -> bytes:
    header = b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return header + b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\0;"


def deep(values: Color) -> bytes:
    return png((16, 16), bits=16, kind=2, rows=(b"\0" + struct.pack(">3H", *values) * 16) * 16)


def gray_16(value: int) -> Image.Image:
    return Image.fromarray(np.full((16, 16), value, dtype=np.uint16))


NOT = "not an image"
BROKEN = "cannot be decoded"
BOMB = "more than 64 million pixels"

FIXTURES = (
    # --- what is decoded ------------------------------------------------------------------------
    Fixture("a plain.png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("png called.jpg", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("jpeg called.png", lambda: encoded(plain("RGB", RED), "JPEG"), RED, lossy=True),
    Fixture("UPPER CASE.PNG", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("cmyk.jpg", lambda: encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG"), RED, lossy=True),
    Fixture("cmyk.tif", lambda: encoded(plain("CMYK", (0, 255, 255, 0)), "TIFF"), RED),
    Fixture("gray.jpg", lambda: encoded(plain("L", 77), "JPEG"), (77, 77, 77), lossy=True),
    Fixture("one bit.png", lambda: encoded(plain("1", 1)), WHITE),
    Fixture("gray 16 bits.png", lambda: encoded(gray_16(0x8001)), (128, 128, 128)),
    Fixture("gray 16 bits.tif", lambda: encoded(gray_16(0xFFFF), "TIFF"), WHITE),
    Fixture("color 16 bits.png", lambda: deep((0x80FF, 0x4001, 0xFFFF)), (128, 64, 255)),
    Fixture("palette.png", lambda: encoded(plain("RGB", RED).quantize(4)), RED),
    Fixture("palette.gif", lambda: encoded(plain("RGB", RED).quantize(4), "GIF"), RED),
    Fixture(
        "palette, one color clear.png",
        lambda: encoded(plain("RGB", RED).quantize(2), transparency=0),
        WHITE,
    ),
    Fixture("alpha.png", lambda: encoded(plain("RGBA", (*RED, 255))), RED),
    Fixture("alpha, clear.png", lambda: encoded(plain("RGBA", (*RED, 0))), WHITE),
    Fixture("alpha, half.png", lambda: encoded(plain("RGBA", (*RED, 128))), (255, 127, 127)),
    Fixture("alpha.webp", lambda: encoded(plain("RGBA", (*RED, 0)), "WEBP", lossless=True), WHITE),
    Fixture("gray and alpha.png", lambda: encoded(plain("LA", (40, 0))), WHITE),
    Fixture("animated.gif", lambda: animation("GIF"), RED),
    Fixture("animated.webp", lambda: animation("WEBP"), RED),
    Fixture("animated.png", lambda: animation("PNG"), RED),
    Fixture("two pages.tif", lambda: animation("TIFF"), RED),
    Fixture("turned by EXIF.jpg", rotated, RED, size=(16, 32), lossy=True),
    Fixture("EXIF that makes no sense.jpg", lambda: with_exif(b"\xde\xad" * 10), RED, lossy=True),
    Fixture("one pixel.png", lambda: encoded(plain("RGB", RED, (1, 1))), RED, size=(1, 1)),
    Fixture("a line.png", lambda: encoded(plain("RGB", RED, (3000, 1))), RED, size=(3000, 1)),
    Fixture("more behind the end.png", lambda: encoded(plain("RGB", RED)) + b"PK\3\4", RED),
    Fixture(
        "progressive.jpg",
        lambda: encoded(plain("RGB", RED), "JPEG", progressive=True),
        RED,
        lossy=True,
    ),
    # --- what is refused ------------------------------------------------------------------------
    Fixture("empty.png", lambda: b"", reason=NOT),
    Fixture("a note.jpg", lambda: b"see the other folder", reason=NOT),
    Fixture("error page.jpg", lambda: b"<!doctype html><title>404</title>", reason=NOT),
    Fixture("drawing.png", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", reason=NOT),
    Fixture("archive.png", lambda: b"PK\3\4" + bytes(60), reason=NOT),
    Fixture("of another kind.png", lambda: encoded(plain("RGB", RED), "PPM"), reason=NOT),
    Fixture("zero bytes.jpg", lambda: bytes(4096), reason=NOT),
    Fixture("cut short.jpg", lambda: encoded(noise(), "JPEG")[:2000], reason=BROKEN),
    Fixture("cut short.png", lambda: encoded(noise())[:6000], reason=BROKEN),
    Fixture("cut short.gif", lambda: encoded(noise(), "GIF")[:2000], reason=BROKEN),
    Fixture("cut short.webp", lambda: encoded(noise(), "WEBP")[:900], reason="cut short.webp"),
    Fixture("cut short.bmp", lambda: encoded(noise(), "BMP")[:5000], reason=BROKEN),
    Fixture("header only.png", lambda: encoded(noise())[:33], reason=NOT),
    Fixture("damaged.png", lambda: damaged(encoded(noise())), reason=BROKEN),
    Fixture("bomb.png", lambda: png((30_000, 30_000), bits=8, kind=2, rows=bytes(64)), reason=BOMB),
    Fixture(
        "small bomb.png", lambda: png((9_000, 9_000), bits=1, kind=0, rows=bytes(64)), reason=BOMB
    ),
    Fixture("bomb.bmp", bmp_bomb, reason=BOMB),
    Fixture("bomb.gif", gif_bomb, reason=BOMB),
    Fixture(
        "32 bits.tif",
        lambda: encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"),
        reason="32-bit pixels have no fixed range",
    ),
    Fixture(
        "real numbers.tif",
        lambda: encoded(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"),
        reason="floating-point pixels have no fixed range",
    ),
    # --- names ----------------------------------------------------------------------------------
    Fixture(" spaces .png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("-rf.png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("héllo 世界 🦊.png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("n" * 251 + ".png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("a\nline.png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("quote' \" $(id) {x} [red].png", lambda: encoded(plain("RGB", RED)), RED),
    Fixture("error: all is well\nbad.png", lambda: b"", reason=NOT),
    Fixture("\x1b]0;title\x07\x1b[31mred.png", lambda: b"", reason=NOT),
    Fixture("\u202egnp.exe.png", lambda: b"", reason=NOT),
)
GOOD = tuple(each for each in FIXTURES if each.shown is not None)
BAD = tuple(each for each in FIXTURES if each.shown is None)


def write_corpus(root: Path) -> Path:
    """All fixtures in one class, beside two classes of sound images."""
    class_folders(root, {"mixed": 3, "sound": 6})
    for fixture in FIXTURES:
        (root / fixture.path).write_bytes(fixture.content())
    return root
