"""Writes pillow_resize.bin: what Pillow makes of the images that the test in ../pixels.rs draws by the same formula.

Needs Pillow and NumPy; run beside this file. The cases must be those of the test, in the same order.
"""

import numpy as np
from PIL import Image

# Height, width and channels of the image; height, width and channels of the result.
CASES = [
    (37, 53, 3, 24, 64, 3),
    (53, 37, 1, 64, 40, 1),
    (100, 41, 3, 13, 80, 3),
    (16, 21, 3, 16, 7, 3),
    (9, 90, 1, 20, 90, 1),
    (31, 29, 3, 40, 20, 1),
    (1, 1, 3, 5, 4, 3),
    (120, 200, 1, 3, 2, 1),
]


def image(h, w, c):
    i = np.arange(h * w * c, dtype=np.uint64)
    noise = (i * np.uint64(2654435761) % np.uint64(1 << 32)) >> np.uint64(23)
    return np.minimum(noise, 255).astype(np.uint8).reshape(h, w, c)


with open("pillow_resize.bin", "wb") as out:
    for h, w, c, oh, ow, channels in CASES:
        picture = Image.fromarray(image(h, w, c).squeeze(2) if c == 1 else image(h, w, c))
        if c == 3 and channels == 1:
            picture = picture.convert("L")
        # One pass at a time, along rows first: Pillow 13 takes the columns first for some sizes.
        picture = picture.resize((ow, h), Image.Resampling.BILINEAR)
        out.write(picture.resize((ow, oh), Image.Resampling.BILINEAR).tobytes())
