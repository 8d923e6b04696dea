"""Distances between samples and data in feature space. Rows are images, float64 (count, features).

Compare each distance with its floor: the same distance between two sets of real images.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy import linalg
from sklearn.metrics import pairwise_distances, pairwise_distances_chunked
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

KID_BLOCK = 1000
RESAMPLES = 50
MANIFOLD_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
CHUNK_MIB = 256


def frechet_distance(
    real: Float[np.ndarray, "real features"], generated: Float[np.ndarray, "generated features"]
) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) of the Gaussians fitted to both (Heusel et al. 2017, arXiv:1706.08500)."""
    first, second = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    values, vectors = linalg.eigh(np.atleast_2d(first))
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(linalg.eigvalsh(root @ np.atleast_2d(second) @ root), 0)).sum()
    shift = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    return float(shift + np.trace(np.atleast_2d(first)) + np.trace(np.atleast_2d(second)) - 2 * cross)


def frechet_error(
    real: Float[np.ndarray, "real features"], generated: Float[np.ndarray, "generated features"], seed: int
) -> float:
    """Standard error of `frechet_distance`, by drawing both sets again with replacement."""
    rng = np.random.default_rng(seed)
    draws = [
        frechet_distance(
            real[rng.integers(len(real), size=len(real))], generated[rng.integers(len(generated), size=len(generated))]
        )
        for _ in range(RESAMPLES)
    ]
    return float(np.std(draws, ddof=1))


def kernel_distance(
    real: Float[np.ndarray, "real features"], generated: Float[np.ndarray, "generated features"]
) -> tuple[float, float]:
    """KID, the unbiased MMD² of the kernel (x·y/d + 1)³, and its standard error (Bińkowski et al. 2018,
    arXiv:1801.01401).

    The mean over disjoint blocks of about 1,000 rows, at least two, so that the blocks' spread is the error. A set that
    is much larger than the other has larger blocks, of which at most 2,000 rows are used, evenly spaced: memory grows
    with the square of a block.
    """
    blocks = max(2, min(len(real), len(generated)) // KID_BLOCK)
    pairs = zip(np.array_split(real, blocks), np.array_split(generated, blocks), strict=True)
    values = np.array([_unbiased_mmd2(_thinned(first), _thinned(second)) for first, second in pairs])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(blocks))


def coverage_scores(
    real: Float[np.ndarray, "real features"], generated: Float[np.ndarray, "generated features"]
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """`precision` and `density` of each generated row, `recall` and `coverage` of each real row.

    precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, k = 3): whether a row lies in the ball of a row of
    the other set, which reaches to its 3rd neighbour in that set. density and coverage (Naeem et al. 2020,
    arXiv:2002.09797, k = 5): the number of balls of real rows in which a generated row lies, divided by 5; whether a
    real row's ball holds a generated row.
    """
    real_radii, generated_radii = _radii(real), _radii(generated)
    manifold, dense = MANIFOLD_NEIGHBOURS - 1, DENSITY_NEIGHBOURS - 1
    precision, density = np.zeros(len(generated), bool), np.zeros(len(generated))
    recall, coverage = np.zeros(len(real), bool), np.zeros(len(real), bool)

    def compare(rows: slice) -> None:
        """Compare some real rows with all generated ones; the distances are dropped before others are computed."""
        distances = pairwise_distances(real[rows], generated)
        precision[:] |= (distances <= real_radii[rows, manifold, None]).any(axis=0)
        density[:] += (distances <= real_radii[rows, dense, None]).sum(axis=0)
        recall[rows] = (distances <= generated_radii[None, :, manifold]).any(axis=1)
        coverage[rows] = distances.min(axis=1) <= real_radii[rows, dense]

    size = max(1, int(CHUNK_MIB * 2**20) // (8 * len(generated)))
    for start in range(0, len(real), size):
        compare(slice(start, start + size))
    return {
        "precision": precision.astype("float64"),
        "density": density / DENSITY_NEIGHBOURS,
        "recall": recall.astype("float64"),
        "coverage": coverage.astype("float64"),
    }


def pair_distances(rows: Float[np.ndarray, "count features"]) -> tuple[float, float]:
    """Mean distance of two different rows, and its standard error, that of a U-statistic (Hoeffding 1948)."""
    means = np.concatenate([part.sum(axis=1) for part in pairwise_distances_chunked(rows, working_memory=CHUNK_MIB)])
    means /= len(rows) - 1
    return float(means.mean()), float(2 * means.std(ddof=1) / np.sqrt(len(rows)))


def compare_samples(
    real: Float[np.ndarray, "real features"], generated: Float[np.ndarray, "generated features"], seed: int
) -> dict[str, float]:
    """All distances with standard errors (`…_se`): frechet, kid, precision, recall, density, coverage."""
    kid, kid_error = kernel_distance(real, generated)
    figures = {
        "frechet": frechet_distance(real, generated),
        "frechet_se": frechet_error(real, generated, seed),
        "kid": kid,
        "kid_se": kid_error,
    }
    for name, values in coverage_scores(real, generated).items():
        figures |= {name: float(values.mean()), f"{name}_se": float(values.std(ddof=1) / np.sqrt(len(values)))}
    return figures


def _radii(rows: Float[np.ndarray, "count features"]) -> Float[np.ndarray, "count neighbours"]:
    """Distances to the first five neighbours of each row, itself left out, shape (count, 5)."""
    neighbours = NearestNeighbors(n_neighbors=DENSITY_NEIGHBOURS, algorithm="brute").fit(rows)
    return neighbours.kneighbors()[0]


def _thinned(block: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "_ features"]:
    return block[:: -(-len(block) // (2 * KID_BLOCK))]


def _unbiased_mmd2(first: Float[np.ndarray, "first features"], second: Float[np.ndarray, "second features"]) -> float:
    def kernel(a: Float[np.ndarray, "a features"], b: Float[np.ndarray, "b features"]) -> Float[np.ndarray, "a b"]:
        return polynomial_kernel(a, b, degree=3, gamma=1 / first.shape[1], coef0=1)

    def within(a: Float[np.ndarray, "count features"]) -> float:
        values = kernel(a, a)
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    return float(within(first) + within(second) - 2 * kernel(first, second).mean())
