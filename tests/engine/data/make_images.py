"""Images of every kind that decode_image reads, with what Pillow makes of them.

    make_images.py SOURCE.ppm OUT [SIDE]

Writes OUT/NAME.{jpg,png} and OUT/NAME.raw (Pillow's pixels), scaled versions as
OUT/resize-LEFT-TOP-WIDTH-HEIGHT-TO_WIDTH-TO_HEIGHT.raw of rgb.png, and OUT/normalised.raw:
float planes of torchvision's ToTensor and Normalize. The files in `files/` are made by it too.
"""

import pathlib
import sys

from PIL import Image

source = Image.open(sys.argv[1]).convert("RGB")
out = pathlib.Path(sys.argv[2])
side = int(sys.argv[3]) if len(sys.argv) > 3 else 64
out.mkdir(parents=True, exist_ok=True)
picture = source.resize((side, side), Image.BILINEAR)
odd = source.resize((side // 2 + 5, side // 2 - 4), Image.BILINEAR)


def save(name, image, **options):
    path = out / name
    image.save(path, **options)
    back = Image.open(path)
    grey = back.mode in ("L", "LA", "1")
    (path.with_suffix(".raw")).write_bytes(back.convert("L" if grey else "RGB").tobytes())


save("jpeg-444.jpg", picture, quality=90, subsampling=0)
save("jpeg-422.jpg", picture, quality=85, subsampling=1)
save("jpeg-420.jpg", odd, quality=75, subsampling=2)
save("jpeg-progressive.jpg", odd, quality=80, progressive=True)
save("jpeg-optimised.jpg", picture, quality=30, optimize=True)
save("jpeg-grey.jpg", odd.convert("L"), quality=80)
save("jpeg-restarts.jpg", picture, quality=80, restart_marker_rows=1)
save("rgb.png", picture)
save("rgba.png", odd.convert("RGBA").rotate(20))
save("grey.png", odd.convert("L"))
save("grey-alpha.png", odd.convert("LA"))
save("one-bit.png", odd.convert("1"))
save("palette.png", odd.convert("P", palette=Image.ADAPTIVE, colors=60))
save("palette-16.png", odd.convert("P", palette=Image.ADAPTIVE, colors=16), bits=4)
odd.convert("CMYK").save(out / "cmyk.jpg")

for region, size in [
    ((0, 0, side, side), (32, 32)),
    ((0, 0, side, side), (side * 2 + 1, side - 3)),
    ((3, 5, side - 7, side - 9), (20, 48)),
    ((10, 2, 17, 30), (64, 64)),
    ((1, 1, 2, 2), (5, 4)),
    ((0, 0, side, side), (1, 1)),
    ((0, 0, side, side // 2), (side, 7)),
]:
    left, top, width, height = region
    scaled = picture.crop((left, top, left + width, top + height)).resize(size, Image.BILINEAR)
    name = "resize-%d-%d-%d-%d-%d-%d.raw" % (*region, *size)
    (out / name).write_bytes(scaled.tobytes())

try:
    from torchvision import transforms
except ImportError:
    sys.exit(0)
normalise = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
)
(out / "normalised.raw").write_bytes(normalise(picture).numpy().tobytes())
