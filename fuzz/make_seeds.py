"""Makes every file under fuzz/seeds/ anew: one small picture, key, recipe or event of each kind.

    python3 fuzz/make_seeds.py        needs Pillow 11.3 or later, for AVIF

Nothing here is anybody's photo. A run of the fuzzers starts from these.
"""

import io
import json
import pathlib
import shutil
import struct
import zlib

from PIL import Image, ImageCms

HERE = pathlib.Path(__file__).parent
SEEDS, FIXTURES = HERE / "seeds", HERE.parent / "fixtures"
SIDE = 16
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode="RGB", side=SIDE):
    """A ramp each way, so that every sample differs from its neighbours; alpha is one too."""
    image = Image.new("RGBA", (side, side))
    step = 255 // (side - 1)
    image.putdata([(x * step, y * step, (x ^ y) * step, 255 - x * step) for y in range(side) for x in range(side)])
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x8298] = "nobody"
    return tags.tobytes()


def jpegs():
    cmyk = encoded(picture("CMYK"), "JPEG")
    sequential = encoded(picture(), "JPEG", quality=60)
    return {
        "sequential": sequential,
        "progressive": encoded(picture(), "JPEG", progressive=True),
        "grey": encoded(picture("L"), "JPEG"),
        "grey_progressive": encoded(picture("L"), "JPEG", progressive=True),
        "cmyk_adobe": cmyk,
        "cmyk_plain": cmyk.replace(b"Adobe", b"Xdobe"),
        "full_chroma": encoded(picture(), "JPEG", subsampling="4:4:4", optimize=True),
        "half_chroma": encoded(picture(), "JPEG", subsampling="4:2:2"),
        "restarts": encoded(picture(), "JPEG", restart_marker_blocks=1),
        "turned": encoded(picture(), "JPEG", exif=exif(6)),
        "profile": encoded(picture("L"), "JPEG", icc_profile=SRGB),
        "large_enough_to_reduce": encoded(picture(side=128), "JPEG", quality=20),
        "cut_off": sequential[:-60],
    }


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain_png(depth, colour, row_bytes, interlaced=0, before_data=b""):
    """What Pillow does not write: any depth of any colour type, in one pass or in the seven of Adam7."""
    passes = [(2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)] if interlaced else [(SIDE, SIDE)]
    bits = row_bytes * 8 // SIDE
    rows = [b"\0" + bytes((y * 37 + x * 11) & 0xFF for x in range(-(-w * bits // 8))) for w, h in passes for y in range(h)]
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + before_data + chunk(b"IDAT", zlib.compress(b"".join(rows), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pngs():
    palette = chunk(b"PLTE", bytes(range(48)))
    frames = [picture("RGBA"), picture("RGBA").rotate(90)]
    said = [
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        chunk(b"sRGB", b"\0"),
    ]
    return {
        "grey_1": plain_png(1, 0, 2),
        "grey_4_interlaced": plain_png(4, 0, 8, 1),
        "grey_16": plain_png(16, 0, 32),
        "grey_alpha_16": plain_png(16, 4, 64),
        "grey_transparent": plain_png(8, 0, 16, 0, chunk(b"tRNS", b"\0\x25")),
        "palette_4": plain_png(4, 3, 8, 0, palette),
        "palette_2_interlaced": plain_png(2, 3, 4, 1, palette),
        "palette_transparent": plain_png(4, 3, 8, 0, palette + chunk(b"tRNS", bytes(range(9)))),
        "rgb_8": encoded(picture(), "PNG", optimize=True),
        "rgb_transparent": plain_png(8, 2, 48, 0, chunk(b"tRNS", b"\0\1\0\2\0\3")),
        "rgb_16_interlaced": plain_png(16, 2, 96, 1),
        "rgba_8_interlaced": plain_png(8, 6, 64, 1),
        "rgba_16": plain_png(16, 6, 128),
        "gamma": plain_png(8, 2, 48, 0, said[0] + said[1]),
        "srgb_and_text": plain_png(8, 2, 48, 0, said[2] + chunk(b"tEXt", b"Copyright\0nobody")),
        "cicp": plain_png(16, 2, 96, 0, chunk(b"cICP", bytes([9, 16, 0, 1]))),
        "profile": encoded(picture(), "PNG", icc_profile=SRGB),
        "turned": encoded(picture(), "PNG", exif=exif(8)),
        "animated": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50),
    }


def gifs():
    frames = [picture("P"), picture("P").rotate(90), picture("P").rotate(180)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": [20, 0, 500]}
    part = encoded(frames[0], "GIF", **moving)
    return {
        "still": encoded(frames[0], "GIF", interlace=0),
        "interlaced": encoded(frames[0], "GIF", interlace=1),
        "grey": encoded(picture("L"), "GIF"),
        "two_colours": encoded(picture("1"), "GIF"),
        "transparent": encoded(frames[0], "GIF", transparency=3),
        "animated": part,
        "animated_background": encoded(frames[0], "GIF", disposal=2, loop=0, **moving),
        "animated_previous": encoded(frames[0], "GIF", disposal=3, loop=3, **moving),
        "comment": encoded(frames[0], "GIF", comment=b"made here"),
        "cut_off": part[:-40],
    }


def webps():
    frames = [picture("RGBA"), picture("RGBA").rotate(90)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 40, "loop": 1}
    return {
        "lossy": encoded(picture(), "WEBP", quality=70),
        "lossy_alpha": encoded(picture("RGBA"), "WEBP", quality=40, alpha_quality=50),
        "lossless": encoded(picture(), "WEBP", lossless=True, quality=100),
        "lossless_alpha": encoded(picture("RGBA"), "WEBP", lossless=True, exact=True),
        "lossless_palette": encoded(picture("P").quantize(4).convert("RGB"), "WEBP", lossless=True),
        "animated": encoded(frames[0], "WEBP", **moving),
        "animated_lossless": encoded(frames[0], "WEBP", lossless=True, **moving),
        "animated_mixed": encoded(frames[0], "WEBP", allow_mixed=True, minimize_size=True, **moving),
        "profile_and_turned": encoded(picture(), "WEBP", icc_profile=SRGB, exif=exif(3)),
        "cut_off": encoded(picture(), "WEBP", quality=70)[:-30],
    }


def avifs():
    frames = [picture(), picture().rotate(90)]
    eight = encoded(picture(), "AVIF", quality=50, speed=10)
    return {
        "eight_bits": eight,
        "full_chroma": encoded(picture(), "AVIF", subsampling="4:4:4", speed=10),
        "half_chroma": encoded(picture(), "AVIF", subsampling="4:2:2", speed=10),
        "grey": encoded(picture(), "AVIF", subsampling="4:0:0", speed=10),
        "alpha": encoded(picture("RGBA"), "AVIF", speed=10),
        "alpha_premultiplied": encoded(picture("RGBA"), "AVIF", speed=10, alpha_premultiplied=True),
        "full_range": encoded(picture(), "AVIF", range="full", speed=10),
        "limited_range": encoded(picture(), "AVIF", range="limited", speed=10),
        "tiles": encoded(picture(side=128), "AVIF", tile_rows=1, tile_cols=1, speed=10, quality=10),
        "turned": encoded(picture(), "AVIF", exif=exif(6), speed=10),
        "profile": encoded(picture(), "AVIF", icc_profile=SRGB, speed=10),
        "animated": encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], speed=10),
        "ten_bits_claimed": ten_bits_claimed(eight),
        "cut_off": eight[:-20],
    }


def ten_bits_claimed(avif):
    """Pillow writes 8 bits only. Boxes that say 10 (`pixi`, `av1C`) over a bitstream that says 8."""
    boxes = avif.replace(b"pixi\0\0\0\0\x03\x08\x08\x08", b"pixi\0\0\0\0\x03\x0a\x0a\x0a")
    at = boxes.index(b"av1C") + 6
    return boxes[:at] + bytes([boxes[at] | 0x40]) + boxes[at + 1 :]


def others():
    """Of formats that are not accepted, and of none."""
    return {
        "bmp": encoded(picture(), "BMP")[:200],
        "tiff": encoded(picture("L"), "TIFF")[:200],
        "ico": encoded(picture("RGBA"), "ICO")[:200],
        "svg": b"\xef\xbb\xbf<?xml version='1.0'?><!-- a --><svg xmlns='http://www.w3.org/2000/svg'/>",
        "pdf": b"%PDF-1.7\n",
        "jxl": b"\0\0\0\x0cJXL \r\n\x87\n",
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "letter": b"This is a letter, not a photo.\n",
    }


RECIPES = {
    "small.toml": '[[rendition]]\nname = "a"\nwidth = 1',
    "documented.toml": 'background = "#102030"\nkeep_copyright = true\n'
    'formats = [{ format = "webp", quality = 60, method = 2 }, { format = "jpeg", quality = 80, progressive = true }]\n\n'
    '[[rendition]]\nname = "w640"\nwidth = 640\nmax_bytes = 90000\n\n'
    '[[rendition]]\nname = "thumb"\nwidth = 256\nheight = 256\nfit = "cover"\ngravity = "attention"\n'
    'formats = [{ format = "png" }]\n',
    "moving.toml": 'formats = [{ format = "webp", animated = true, lossless = false }, { format = "avif" }]\n'
    '[[rendition]]\nname = "h"\nheight = 90\nfit = "inside"\ngravity = "centre"\n',
    "small.json": '{"rendition":[{"name":"a","height":2,"formats":[{"format":"jpeg","quality":1}]}]}',
    "twice.json": '{"rendition":[{"name":"a","width":2},{"name":"a","width":3}]}',
    "no_number.toml": '[[rendition]]\nname = "a"\nwidth = "wide"',
    "no_end.toml": '[[rendition]\nname = """a',
}

UUID, MAC, REVISION = "01935b2c-7d1e-7abc-8def-0123456789ab", "0123456789abcdef", "3f9a0c12be77"
KEYS = [
    f"raw/articles/a1/{UUID}-{MAC}.jpg",
    f"articles/a1/raw/{UUID}-{MAC}.png",
    f"processed/articles/a1/{UUID}-{MAC}.jpg/{REVISION}/w640.avif",
    "articles/a1/processed/u.jpg/manifest.json",
    f"raw%2Fa1%2F%C3%A9t%C3%A9+%25.jpg",
    "raw/processed/raw/été 日本.webp",
    "raw/a1/",
    "raw/../raw/a1/photo.jpg",
    f"processed/{REVISION}/w640.webp",
    "articleId_-9",
]


def texts(folder):
    for name, text in RECIPES.items():
        (folder("recipe") / name).write_text(text)
    for number, key in enumerate(KEYS):
        (folder("keys") / f"{number}.txt").write_text(key)
    bodies = set()
    for event in sorted((FIXTURES / "events").glob("*.json")):
        for number, record in enumerate(json.loads(event.read_text())["Records"]):
            body = compact(record["body"])
            if body and body not in bodies:
                bodies.add(body)
                (folder("events") / f"{event.stem}_{number}.json").write_text(body)


def compact(body):
    """Without the fields that nobody reads, which would only be mutated in vain."""
    try:
        event = json.loads(body)
    except ValueError:
        return body
    for record in event.get("Records", []) if isinstance(event, dict) else []:
        for unread in ("userIdentity", "requestParameters", "responseElements", "eventTime", "awsRegion"):
            record.pop(unread, None)
    return json.dumps(event, separators=(",", ":"))


def folder(target):
    path = SEEDS / target
    path.mkdir(parents=True, exist_ok=True)
    return path


def images():
    kinds = {"jpeg": jpegs(), "png": pngs(), "gif": gifs(), "webp": webps(), "avif": avifs()}
    for kind, files in kinds.items():
        for name, data in files.items():
            (folder(kind) / name).write_bytes(data)
    for kind, files in kinds.items():
        for number, (name, data) in enumerate(list(files.items())[:6]):
            (folder("pipeline") / f"{kind}_{name}").write_bytes(bytes([number]) + data)
        for name in list(files)[:3]:
            (folder("probe") / f"{kind}_{name}").write_bytes(files[name])
    for name, data in others().items():
        (folder("probe") / name).write_bytes(data)


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    images()
    texts(folder)
