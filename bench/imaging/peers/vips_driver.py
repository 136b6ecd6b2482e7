"""vipsthumbnail: a process for each rendition. Its time and memory are those of these processes."""

import os
import resource
import subprocess

import driver

OPTIONS = {
    # As sharp has libvips write them.
    "jpeg": "Q={quality},optimize_coding,strip",
    "webp": "Q={quality},effort={effort},strip",
    "avif": "Q={quality},effort={effort},subsample_mode=on,strip",
}
SUFFIXES = {"jpeg": "jpg", "webp": "webp", "avif": "avif"}

# Where a JPEG has its profile.
HEAD_BYTES = 256 * 1024

peak_kib = 0


def work(job):
    colours = to_srgb(job["photo"])
    for width in job["widths"]:
        for encoding in job["formats"]:
            form = encoding["format"]
            path = f"{job['out_dir']}/{width}.{SUFFIXES[form]}"
            command = ["vipsthumbnail", job["photo"], "--size", f"{width}x{width}>", *colours]
            run([*command, "--output", f"{path}[{OPTIONS[form].format(**encoding)}]"])
            yield width, form, path


def to_srgb(photo):
    """Where there is a profile: without one, this version takes the colours for others than they are."""
    with open(photo, "rb") as file:
        return ["--export-profile", "srgb"] if b"ICC_PROFILE" in file.read(HEAD_BYTES) else []


def run(command):
    global peak_kib
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    peak_kib = max(peak_kib, usage.ru_maxrss)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


version = subprocess.run(["vipsthumbnail", "--vips-version"], capture_output=True, text=True, check=True)
driver.serve(f"vipsthumbnail ({version.stdout.strip()})", work, cpu_s, lambda: peak_kib * 1024)
