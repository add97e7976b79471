"""The demo's data: scikit-learn's bundled handwritten digits as 32x32 RGB images, and the split that both users share.

The 1797 digits (8x8, grey 0..16) are the test part of the UCI "Optical Recognition of Handwritten Digits" set, as
`sklearn.datasets.load_digits` ships them. A fifth of each class is held out. Nothing is downloaded.
"""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

IMAGE_SIZE = 32
CLASS_COUNT = 10
SPLIT_SEED = 20  # fixed: the committed teacher was trained on the other four fifths


def enlarge(digit):
    """8x8 grey 0..16 to uint8 32x32x3, by Pillow's bilinear filter."""
    grey = np.rint(digit * (255 / 16)).astype(np.uint8)
    large = Image.fromarray(grey).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(large)[:, :, None], 3, axis=2)


def load_images():
    """(images uint8 N x 32 x 32 x 3, labels int64 N), in the order of the data set."""
    digits = load_digits()
    return np.stack([enlarge(digit) for digit in digits.images]), digits.target.astype(np.int64)


def split(labels):
    """(training indices, held-out indices), both sorted: a fifth of every class, drawn with SPLIT_SEED, is held out."""
    random = np.random.RandomState(SPLIT_SEED)  # the legacy generator: its stream is the same in every NumPy version
    held_out = []
    for label in range(CLASS_COUNT):
        members = random.permutation(np.flatnonzero(labels == label))
        held_out.extend(members[: round(len(members) / 5)])
    held_out = np.sort(np.array(held_out))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
