"""Rules: views, parts of values and what joins them."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.models.random_modules.maker import Buffered, Maker


def cat(m: Maker) -> None:
    x = m.pick()
    if x is None or m.values[x].dim() == 0:
        return
    rng, shape = m.rng, m.values[x].shape
    dim = rng.choice([1, 1, 1, *range(len(shape))]) % len(shape)
    fitting = [
        i
        for i, t in enumerate(m.values)
        if t.dim() == len(shape) and t.is_floating_point()
        and all(a == b for k, (a, b) in enumerate(zip(t.shape, shape, strict=True)) if k != dim)
    ]  # fmt: skip
    chosen = rng.choices(fitting, k=rng.randint(1, 3))
    m.add(f"cat(dim={dim})", lambda *t: torch.cat(t, dim), x, *chosen)


def stack(m: Maker) -> None:
    x = m.pick()
    if x is None or m.values[x].dim() > 4:
        return
    same = [i for i, t in enumerate(m.values) if t.shape == m.values[x].shape and t.dtype == m.values[x].dtype]
    dim = m.rng.randint(0, m.values[x].dim())
    m.add(f"stack(dim={dim})", lambda *t: torch.stack(t, dim), x, m.rng.choice(same))


def part(m: Maker) -> None:
    x = m.pick(lambda t: t.dim() > 0 and t.is_floating_point())
    if x is None:
        return
    rng, shape = m.rng, m.values[x].shape
    dim = rng.choice([min(1, len(shape) - 1), rng.randrange(len(shape))])
    size, kind = shape[dim], rng.randrange(5)
    if kind == 0:
        n = rng.randint(1, min(4, size))
        i = rng.randrange(len(torch.arange(size).chunk(n)))
        m.add(f"chunk({n}, {dim})[{i}]", lambda t: t.chunk(n, dim)[i], x)
    elif kind == 1:
        n = rng.randint(1, size)
        sizes = [n, size - n] if size > n else [n]
        i = rng.randrange(len(sizes))
        m.add(f"split({sizes}, {dim})[{i}]", lambda t: t.split(sizes, dim)[i], x)
        if len(sizes) == 2 and rng.random() < 0.6:
            m.add(f"split({sizes}, {dim})[{1 - i}]", lambda t: t.split(sizes, dim)[1 - i], x)
    elif kind == 2:
        lo = rng.randrange(size)
        hi, step = rng.randint(lo + 1, size), rng.choice([1, 1, 2, 3])
        m.add(f"slice({dim}, {lo}:{hi}:{step})", lambda t: t[(slice(None),) * dim + (slice(lo, hi, step),)], x)
    elif kind == 3:
        i = rng.randrange(-size, size)
        m.add(f"select({dim}, {i})", lambda t: t.select(dim, i), x)
    else:
        index = torch.tensor([rng.randrange(size) for _ in range(rng.randint(1, 5))])
        m.add(f"index_select({dim}, {index.tolist()})", Buffered(index, lambda t, n: t.index_select(dim, n)), x)


def pad(m: Maker) -> None:
    x = m.pick(lambda t: t.dim() > 1 and t.is_floating_point())
    if x is None:
        return
    rng, rank = m.rng, m.values[x].dim()
    if rank > 2 and rng.random() < 0.3:
        mode = rng.choice(["reflect", "replicate", "circular"])
        sides = [rng.randint(0, 2) for _ in range(2 * (rank - 2))]
        m.add(f"pad({sides}, {mode})", lambda t: F.pad(t, sides, mode), x)
        return
    sides = [rng.choice([0, 1, 2, -1 if rng.random() < 0.2 else 0]) for _ in range(2 * rng.randint(1, rank))]
    value = rng.choice([0.0, 0.0, 1.5, -float("inf") if rng.random() < 0.1 else 0.5])
    m.add(f"pad({sides}, value={value})", lambda t: F.pad(t, sides, value=value), x)


def view(m: Maker) -> None:
    x = m.pick()
    if x is None:
        return
    rng, shape = m.rng, tuple(m.values[x].shape)
    rank, kind = len(shape), rng.randrange(8)
    if kind <= 1 and rank > 1:
        order = rng.sample(range(rank), rank)
        m.add(f"permute({order})", lambda t: t.permute(order), x)
    elif kind == 2 and rank > 1:
        start = rng.randrange(rank - 1)
        end = rng.randrange(start, rank)
        m.add(f"flatten({start}, {end})", lambda t: t.flatten(start, end), x)
    elif kind == 3:
        at = rng.randint(0, rank)
        m.add(f"unsqueeze({at})", lambda t: t.unsqueeze(at), x)
    elif kind == 4 and rank > 1:
        whole = [1, *[d for d in shape if d > 1]]
        new = whole if rng.random() < 0.3 else rng.sample(shape, rank)
        m.add(f"reshape({new})", lambda t: t.reshape(new), x)
    elif kind == 5 and rank == 4:
        c = shape[1]
        g = rng.choice([d for d in range(1, c + 1) if c % d == 0])
        m.add(f"channel_shuffle({g})", lambda t: F.channel_shuffle(t, g), x)
    elif kind == 6 and rank:
        dim = rng.randrange(rank)
        m.add(f"flip({dim})", lambda t: t.flip(dim), x)
    elif kind == 7 and rank == 4:
        r = rng.choice([2, 3])
        m.add(f"pixel_unshuffle/shuffle({r})", (lambda t: F.pixel_shuffle(t, r)) if shape[1] % (r * r) == 0
              else (lambda t: F.pixel_unshuffle(t, r)), x)  # fmt: skip


def expand(m: Maker) -> None:
    x = m.pick(lambda t: 1 in t.shape and t.is_floating_point())
    if x is None:
        return
    shape = [m.rng.randint(1, 5) if d == 1 and m.rng.random() < 0.7 else d for d in m.values[x].shape]
    m.add(f"expand({shape})", lambda t: t.expand(shape), x)
