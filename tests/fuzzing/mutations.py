"""Random damage to the bytes of a file, as disks, editors and malice do it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

NUMBERS = [b"-1", b"0", b"1", b"2", b"3", b"255", b"65536", b"2147483648", b"4294967295"]
NUMBERS += [b"1000000000000", b"99999999999999999999", b"1e308", b"1e-320", b"nan", b"-inf", b""]
WORDS = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

Mutation = Callable[[bytes, np.random.Generator], bytes]


def mutate(seeds: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """One of the seeds, damaged in 1 to 4 ways; one time in eight spliced with another first."""
    data = seeds[rng.integers(len(seeds))]
    if rng.random() < 0.125:
        other = seeds[rng.integers(len(seeds))]
        data = data[: rng.integers(len(data) + 1)] + other[rng.integers(len(other) + 1) :]
    for _ in range(rng.integers(1, 5)):
        data = MUTATIONS[rng.integers(len(MUTATIONS))](data, rng)
    return data


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip up to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9) if changed else 0):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Keep only what comes before a random place."""
    return data[: rng.integers(len(data) + 1)]


def delete(data: bytes, rng: np.random.Generator) -> bytes:
    """Take out a span of up to 64 bytes."""
    start = int(rng.integers(len(data) + 1))
    return data[:start] + data[start + int(rng.integers(1, 65)) :]


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a span of up to 64 bytes."""
    start = int(rng.integers(len(data) + 1))
    span = data[start : start + int(rng.integers(1, 65))]
    return data[:start] + span * int(rng.integers(2, 9)) + data[start:]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Put up to 16 random bytes somewhere."""
    start = int(rng.integers(len(data) + 1))
    return data[:start] + rng.bytes(int(rng.integers(1, 17))) + data[start:]


def change_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a number that is written in digits, in the first 4 KiB more often than behind."""
    head = data[:4096] if rng.random() < 0.7 else data
    found = list(re.finditer(rb"-?\d[\d.eE+-]*", head))
    if not found:
        return flip_bits(data, rng)
    match = found[rng.integers(len(found))]
    return data[: match.start()] + NUMBERS[rng.integers(len(NUMBERS))] + data[match.end() :]


def change_word(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a binary number of 1 to 8 bytes in either byte order, near the start more often."""
    size = int(rng.choice([1, 2, 4, 8]))
    end = len(data) - size
    if end < 0:
        return insert(data, rng)
    start = int(rng.integers(min(end, 128) + 1 if rng.random() < 0.5 else end + 1))
    order = "little" if rng.random() < 0.5 else "big"
    value = int(WORDS[rng.integers(len(WORDS))]) & (256**size - 1)
    return data[:start] + value.to_bytes(size, order) + data[start + size :]


def swap_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """Exchange two lines."""
    lines = data.split(b"\n")
    first, second = rng.integers(len(lines), size=2)
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


MUTATIONS: list[Mutation] = [
    flip_bits,
    cut,
    delete,
    repeat,
    insert,
    change_number,
    change_word,
    swap_lines,
]
