"""Pillow: one decode, at a reduced size where that leaves enough for the largest rendition, and each rendition by
Lanczos from that; colours are converted on the small pictures."""

import io
import resource
import sys

import PIL
from PIL import Image, ImageCms, ImageOps, features

import driver

OPTIONS = {
    # What the others do: Huffman tables of the picture's own.
    "jpeg": lambda quality, effort: {"quality": quality, "optimize": True},
    "webp": lambda quality, effort: {"quality": quality, "method": effort},
    # As libvips counts effort.
    "avif": lambda quality, effort: {
        "quality": quality, "speed": 9 - effort, "subsampling": "4:2:0", "max_threads": 1},
}


def work(job):
    image = Image.open(job["photo"])
    largest = max(job["widths"])
    image.draft("RGB", (largest, largest))
    convert = to_srgb(image.info.get("icc_profile"))
    image = ImageOps.exif_transpose(image).convert("RGB")
    for width in job["widths"]:
        small = image.copy()
        small.thumbnail((width, width), Image.Resampling.LANCZOS, reducing_gap=None)
        small = convert(small)
        small.info.clear()
        for encoding in job["formats"]:
            form = encoding["format"]
            path = f"{job['out_dir']}/{width}.{form}"
            small.save(path, form, **OPTIONS[form](encoding["quality"], encoding["effort"]))
            yield width, form, path


def to_srgb(profile):
    if not profile:
        return lambda image: image
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    return lambda image: ImageCms.applyTransform(image, transform)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


python = ".".join(map(str, sys.version_info[:3]))
codecs = f"libjpeg-turbo {features.version('libjpeg_turbo')}, libavif {features.version('avif')}"
driver.serve(f"Pillow {PIL.__version__} ({codecs}), Python {python}", work, cpu_s, peak_bytes)
