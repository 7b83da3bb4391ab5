"""Open pictures that nobody vouches for: few formats, bounds that are checked before memory is used, and errors that say what to do."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.IcoImagePlugin import IcoImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from sluice.errors import BadInput
from sluice.kinds.pictures import camera_raw, colours

MAX_PIXELS = 64_000_000
"""Most pixels to decode (256 MB as RGBA); checked against the header before anything is decoded."""

MAX_SIDE = 250_000
"""Most pixels of a side: each row costs memory of its own, so a picture of few and long columns is dear."""

MAX_TEXT = 128 * 1024 * 1024
"""Bytes to which compressed metadata of a PNG may swell; Pillow's own 1 MiB is too little for real files."""

MAX_SCANNED = 100 * MAX_PIXELS
"""Most pixels that the scans of a JPEG may go over: each is a pass over all of them, however few bytes it has.

Progressive pictures have about ten. What looks like one may be chance, in a film behind the picture.
"""

READS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO")
"""Formats to try: the fewer, the fewer decoders untrusted bytes can reach."""

TAKEN = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or ICO"

UPRIGHT = 1
SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"IDAT", b"fdAT", b"IEND"}
"""Chunks of a PNG that its picture needs."""

_ICON, _ENTRY = b"\0\0\1\0", struct.Struct("<BBHHHII")
"""How an ICO begins, and what it says of each picture: width, height, colours, planes, bits a pixel, bytes, and where it is."""

_DIB_HEADER = 40
"""Bytes before the pixels of an icon that is no PNG."""

_START_OF_SCAN = b"\xff\xda"
_REFUSED = {
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop document",
    b"<svg": "an SVG",
    b"<?xml": "XML, perhaps an SVG",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x1f\x8b": "compressed with gzip",
    b"PK\x03\x04": "a ZIP archive",
}
"""How files begin that people take for pictures, or that Pillow does not read."""

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


@contextmanager
def bounded() -> Iterator[None]:
    """Set Pillow's bounds to those of this kind, and let it refuse instead of warn; afterwards they are as they were.

    Not for several threads at once.
    """
    bounds = [
        (Image, "MAX_IMAGE_PIXELS", MAX_PIXELS),
        (Image, "WARN_POSSIBLE_FORMATS", True),
        (PngImagePlugin, "MAX_TEXT_CHUNK", MAX_TEXT),
        (PngImagePlugin, "MAX_TEXT_MEMORY", MAX_TEXT),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in bounds]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for module, name, bound in bounds:
                setattr(module, name, bound)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(_too_large(str(error))) from None
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def open_picture(raw: bytes) -> ImageFile:
    """Open the picture, reading only its header where that is possible. Raises BadInput if it is none that is read, or is too large.

    Metadata of a PNG that cannot be read is left out, and its profile with it.
    """
    if refused := _name_refused(raw):
        raise BadInput(f"'image' is {refused}, which is not read: send {TAKEN}.")
    if raw.startswith(_ICON):
        raw = _only_best(raw)
    try:
        return _open(raw)
    except (BadInput, LookupError, SyntaxError, ValueError):
        if not raw.startswith(_PNG):
            raise
    image = _open(_without_metadata(raw))
    if b"iCCP" in raw:
        image.info["icc_profile"] = None
    return image


def has_more_frames(image: ImageFile) -> bool:
    """Tell whether frames or pages follow the first. Further pictures in a JPEG are depth, light or the other eye."""
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001  what follows is damaged in whatever way, and not shown
        return False


def orientation(image: ImageFile) -> int:
    """Return the EXIF orientation that a loaded picture still has; 1, upright, if its metadata cannot be read.

    Pillow turns a TIFF when it loads it, and then says that it is upright.
    """
    try:
        value: int = image.getexif().get(Base.Orientation, UPRIGHT)
    except Exception:  # noqa: BLE001  broken metadata fails in many ways, and says nothing about the picture
        return UPRIGHT
    return value


def _open(raw: bytes) -> ImageFile:
    image = _identify(raw)
    if max(image.size) > MAX_SIDE:
        raise BadInput(_too_large(f"It has {image.width} x {image.height}"))
    if (
        image.format in ("JPEG", "MPO")
        and raw.count(_START_OF_SCAN) * image.width * image.height > MAX_SCANNED
    ):
        raise BadInput("The JPEG has far more scans than a picture needs: save it anew.")
    if isinstance(image, IcoImageFile):
        largest = image.ico.frame(0)
        colours.transparent_colour(largest)
        image.info.update(largest.info)  # Pillow leaves transparency, orientation and profile behind
        if not isinstance(largest, PngImageFile) and colours.is_invisible(image):
            _take_mask(image)
    elif isinstance(image, PngImageFile):
        colours.transparent_colour(image)
        image.load()  # metadata may come behind the pixels
    return image


def _only_best(raw: bytes) -> bytes:
    """Keep of an icon its largest picture, the one with most colours if there are several, and say what depth that has.

    Pillow takes the one with fewest, and where the list is wrong about the depth it reads no alpha, or makes some up.
    """
    pictures = []
    for at in range(6, 6 + _ENTRY.size * int.from_bytes(raw[4:6], "little"), _ENTRY.size):
        if len(raw) < at + _ENTRY.size:
            return raw
        *head, depth, size, begin = _ENTRY.unpack_from(raw, at)
        if not raw.startswith(_PNG, begin):
            depth = int.from_bytes(raw[begin + 14 : begin + 16], "little")
        pictures.append(((head[0] or 256) * (head[1] or 256), depth, -at, begin, size, head))
    if not pictures:
        return raw
    _, depth, _, begin, size, head = max(pictures)
    entry = _ENTRY.pack(*head, depth, size, 6 + _ENTRY.size)
    return _ICON + b"\1\0" + entry + raw[begin:]


def _take_mask(image: IcoImageFile) -> None:
    """Let the mask of an icon say what is transparent: programs that use it leave the alpha channel empty."""
    entry, (width, height) = image.ico.entry[0], image.size
    if entry.size < _DIB_HEADER + 4 * width * height + (width + 31) // 32 * 4 * height:
        image.putalpha(255)  # it has none
        return
    image.ico.entry[0] = entry._replace(bpp=24)  # Pillow reads the mask of icons without alpha
    image.putalpha(image.ico.frame(0).getchannel("A"))


def _identify(raw: bytes) -> ImageFile:
    with warnings.catch_warnings(record=True) as told:
        warnings.filterwarnings("always", ".* opening failed")
        try:
            return Image.open(BytesIO(raw), formats=READS)
        except UnidentifiedImageError:
            reasons = [str(each.message) for each in told]
    if reasons:
        raise BadInput(f"The picture is damaged, or of a rare kind: {'; '.join(reasons)}. Send {TAKEN}.")
    raise BadInput(f"'image' is none of the pictures that are read: {TAKEN}. It begins with {raw[:12]!r}.")


def _without_metadata(raw: bytes) -> bytes:
    """Drop from a PNG all chunks that its picture can do without, as any of them may be what cannot be read."""
    kept, at = [_PNG], len(_PNG)
    while at < len(raw):
        end = at + 12 + int.from_bytes(raw[at : at + 4], "big")
        if raw[at + 4 : at + 8] in _PIXELS:
            kept.append(raw[at:end])
        at = end
    return b"".join(kept)


def _name_refused(raw: bytes) -> str | None:
    """Name what is not read by the way it begins, so that whoever sent it knows what to change."""
    if raw[4:8] == b"ftyp":
        return _name_media(raw[8 : min(int.from_bytes(raw[:4], "big"), 256)])
    if raw.startswith(_PNG) and raw[12:16] == b"CgBI":
        return "a PNG that Xcode has packed for iPhones (CgBI)"
    if found := camera_raw.name(raw):
        return found
    text = raw[:256].lstrip().lower()
    return next(
        (name for sign, name in _REFUSED.items() if raw.startswith(sign) or text.startswith(sign)), None
    )


def _name_media(brands: bytes) -> str | None:
    """Name an ISO media file by the brands it claims."""
    names = {brands[at : at + 4] for at in range(0, len(brands), 4)}
    if names & {b"avif", b"avis"}:
        return None
    if b"crx " in names:
        return camera_raw.RAW
    return "HEIC" if names & _HEIC else "a video, or of another kind of media file"


def _too_large(what: str) -> str:
    return f"The picture has too many pixels: at most {MAX_PIXELS:,}, and {MAX_SIDE:,} a side, are decoded. {what.removesuffix('..')}."
