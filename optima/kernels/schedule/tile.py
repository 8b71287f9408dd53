"""The register tile of a product: how many pixels (or rows) and channel vectors one pass of the reduction makes."""

from __future__ import annotations

from dataclasses import dataclass

from optima.kernels.schedule.structure import NotApplicable, divisors

#: vectors of output channels in a tile, at most: more only repeats weight loads
_MOST_BLOCKS = 8


@dataclass(frozen=True)
class Tile:
    """Output rows, columns and channel blocks (each one vector wide) of a tile."""

    rows: int
    columns: int
    blocks: int


def cycles_per_output(tile: Tile) -> float:
    """Cycles per vector of outputs and reduction step: two FMAs and two loads a cycle, FMA latency four cycles.

    (Figures of Intel's and AMD's cores since Haswell and Zen 2; only the ranking of tiles depends on them.)
    """
    pixels = tile.rows * tile.columns
    accumulators = pixels * tile.blocks
    # With one block the broadcast is the FMA's own memory operand: each is a load.
    loads = pixels + tile.blocks
    return max(accumulators / 2, loads / 2, 4.0) / accumulators


def choose_tile(height: int, width: int, blocks: int, registers: int, need: int) -> Tile:
    """The fastest tile that fits the registers and leaves at least ``need`` parallel pieces where it can.

    Tiles divide ``height`` x ``width`` x ``blocks`` evenly: a guarded remainder would not stay in registers.
    """
    best: tuple[tuple[float, ...], Tile] | None = None
    for nb in [d for d in divisors(blocks) if d <= _MOST_BLOCKS]:
        for columns in divisors(width):
            for rows in divisors(height) if columns == width else [1]:
                accumulators = nb * rows * columns
                # nb weights and one broadcast live beside the accumulators.
                if accumulators + nb + 1 > registers and accumulators > 1:
                    continue
                tile = Tile(rows, columns, nb)
                pieces = (blocks // nb) * (height // rows)
                starved = max(0.0, 1.0 - pieces / need)
                rank = (starved, round(cycles_per_output(tile), 4), -accumulators, nb)
                if best is None or rank < best[0]:
                    best = (rank, tile)
    if best is None:
        raise NotApplicable("no tile fits the registers")
    return best[1]
