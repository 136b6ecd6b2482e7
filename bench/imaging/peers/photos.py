"""Makes larger and smaller photos of one, by Pillow: p48, four frames of it as one, and one of each number of
megapixels, cut out of its middle or tiled. JPEG of quality 90, the profile kept, upright as stored."""

import math
import os
import sys

from PIL import Image

# Ours, and known.
Image.MAX_IMAGE_PIXELS = None
MEGAPIXELS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 100)


def main(source, folder):
    os.makedirs(folder, exist_ok=True)
    photo = Image.open(source)
    profile = photo.info.get("icc_profile")
    photo = photo.convert("RGB")
    width, height = photo.size

    def save(name, size):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            save_whole(tiled(photo, size), path, profile)

    save("p48.jpg", (2 * width, 2 * height))
    for megapixels in MEGAPIXELS:
        scale = math.sqrt(megapixels * 1e6 / (width * height))
        save(f"{megapixels}mp.jpg", (int(width * scale), int(height * scale)))


def tiled(photo, size):
    columns, rows = (-(-side // of) for side, of in zip(size, photo.size))
    all_of_it = Image.new("RGB", (columns * photo.width, rows * photo.height))
    for column in range(columns):
        for row in range(rows):
            all_of_it.paste(photo, (column * photo.width, row * photo.height))
    left, top = ((whole - side) // 2 for whole, side in zip(all_of_it.size, size))
    return all_of_it.crop((left, top, left + size[0], top + size[1]))


def save_whole(photo, path, profile):
    unfinished = f"{path}.part"
    photo.save(unfinished, "jpeg", quality=90, icc_profile=profile)
    os.rename(unfinished, path)


main(*sys.argv[1:])
