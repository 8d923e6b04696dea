"""Two-sample tests of a window against the reference, each with an effect size that does not grow with the rows.

An effect is a distance between two distributions, from 0 (none) to 1. It has the same meaning for small and large
windows. The p-value is the probability of such a difference by chance.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import stats
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from vaeline.monitoring.scores import Observed
from vaeline.scores import ELBO_PARTS, title_of

TAIL = 0.99
LATENT_ROWS = 500
PERMUTATIONS_AT_ONCE = 100
UNUSUAL, LATENTS, CLASS_MIX, LABELS = "unusual", "latents", "class_mix", "labels"
TITLES = {name: title_of(name) for name in ELBO_PARTS} | {
    UNUSUAL: "unusual images",
    LATENTS: "latents",
    CLASS_MIX: "class mix",
    LABELS: "labels that fit",
}
EFFECTS = dict.fromkeys(ELBO_PARTS, "Kolmogorov–Smirnov distance") | {
    UNUSUAL: "share of images above the reference's 99 % quantile, minus the reference's own share",
    LATENTS: "square root of the energy coefficient",
    CLASS_MIX: "total variation",
    LABELS: "loss in the share of labels that fit",
}


@dataclass(frozen=True)
class TwoSampleResult:
    """A test's statistic, its p-value (not corrected), and the effect size."""

    name: str
    statistic: float
    p: float
    effect: float


def compare_scores(
    name: str, reference: Float[np.ndarray, " reference"], window: Float[np.ndarray, " window"]
) -> TwoSampleResult:
    """Kolmogorov and Smirnov's test of two sets of scores (m,) and (n,).

    The effect is the statistic: the largest difference between the shares of images below a value.
    """
    found = stats.ks_2samp(window, reference, method="asymp")
    return TwoSampleResult(name, float(found.statistic), float(found.pvalue), float(found.statistic))


def compare_tails(reference: Float[np.ndarray, " reference"], window: Float[np.ndarray, " window"]) -> TwoSampleResult:
    """Fisher's exact test of more losses (n,) above the 99 % quantile of the reference's losses (m,), one-sided.

    This test finds a few OOD images, which hardly change the distribution of the scores.
    """
    bar = np.quantile(reference, TAIL)
    return _compare_shares(UNUSUAL, reference > bar, window > bar)


def compare_latents(
    reference: Float[np.ndarray, "reference latent_dim"],
    window: Float[np.ndarray, "window latent_dim"],
    permutations: int,
    rng: np.random.Generator,
) -> TwoSampleResult:
    """The energy distance of two sets of latents (m, d) and (n, d), with a permutation p-value.

    All pairs of rows are compared, so 500 rows are drawn from a larger set. They are enough for an effect of 0.1.
    The statistic is 2 E|X − Y| − E|X − X'| − E|Y − Y'| (Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018), the
    effect the root of its ratio to 2 E|X − Y|: 0 for equal distributions, 1 for two different points.
    """
    window, reference = (rng.permutation(each)[:LATENT_ROWS] for each in (window, reference))
    distances = euclidean_distances(np.concatenate([window, reference]).astype("float64")).astype("float32")
    sums = distances.sum(axis=1, dtype="float64")
    member = np.zeros((1, len(distances)), "float32")
    member[0, : len(window)] = 1
    (statistic,), (between,) = _energies(distances, sums, member)
    as_large = 0
    for done in range(0, permutations, PERMUTATIONS_AT_ONCE):
        drawn = rng.permuted(np.repeat(member, min(PERMUTATIONS_AT_ONCE, permutations - done), axis=0), axis=1)
        as_large += int((_energies(distances, sums, drawn)[0] >= statistic).sum())
    effect = float(np.sqrt(max(statistic, 0) / between)) if between else 0.0
    return TwoSampleResult(LATENTS, float(statistic), (1 + as_large) / (1 + permutations), effect)


def compare_mix(
    reference: Integer[np.ndarray, " reference"], window: Integer[np.ndarray, " window"]
) -> TwoSampleResult:
    """Pearson's test of homogeneity of two sets of labels (m,) and (n,); the effect is the total variation distance.

    A label that occurs in only one of the two sets also counts.
    """
    counts = class_counts(reference, window)
    shares = counts / counts.sum(axis=1, keepdims=True)
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if counts.shape[1] == 1:
        return TwoSampleResult(CLASS_MIX, 0.0, 1.0, effect)
    found = stats.chi2_contingency(counts, correction=False)
    return TwoSampleResult(CLASS_MIX, float(found.statistic), float(found.pvalue), effect)


def compare_labels(reference: Observed, window: Observed, neighbours: int) -> TwoSampleResult:
    """Fisher's exact test of fewer labels that fit, one-sided.

    A label fits if it is the most frequent label of the nearest reference images in latent space. A reference image is
    not its own neighbour.
    """
    fits = [_label_fits(reference, each, neighbours) for each in (reference, window)]
    return _compare_shares(LABELS, ~fits[0], ~fits[1])


def compare(
    reference: Observed, window: Observed, permutations: int, neighbours: int, rng: np.random.Generator
) -> list[TwoSampleResult]:
    """All tests; those of labels only if both sets have labels."""
    found = [compare_scores(name, reference.scores[name], window.scores[name]) for name in reference.scores]
    found.append(compare_tails(reference.scores[reference.loss], window.scores[window.loss]))
    found.append(compare_latents(reference.latents, window.latents, permutations, rng))
    if window.labels is not None and reference.labels is not None:
        found.append(compare_mix(reference.labels, window.labels))
        found.append(compare_labels(reference, window, neighbours))
    return found


def class_counts(
    reference: Integer[np.ndarray, " reference"], window: Integer[np.ndarray, " window"]
) -> Integer[np.ndarray, "2 labels"]:
    """How often each label occurs in the reference and in the window, (2, labels)."""
    present = np.unique(np.concatenate([reference, window]))
    return np.stack([(labels[:, None] == present).sum(axis=0) for labels in (reference, window)])


def _energies(
    distances: Float[np.ndarray, "rows rows"],
    sums: Float[np.ndarray, " rows"],
    members: Float[np.ndarray, "draws rows"],
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """The energy distance, and 2 E|X − Y|, for each row of `members` (count, rows), which is 1 for X and 0 for Y."""
    n = members[0].sum(dtype="float64")
    m = members.shape[1] - n
    within = np.einsum("pi,pi->p", members @ distances, members, dtype="float64")
    of_members = members @ sums
    between = 2 * (of_members - within) / (n * m)
    others = sums.sum() - 2 * of_members + within
    return between - within / n**2 - others / m**2, between


def _compare_shares(
    name: str, reference: Bool[np.ndarray, " reference"], window: Bool[np.ndarray, " window"]
) -> TwoSampleResult:
    """Whether more of the window (n,) than of the reference (m,) is true; the effect is the difference in share."""
    table = [[window.sum(), (~window).sum()], [reference.sum(), (~reference).sum()]]
    found = stats.fisher_exact(table, alternative="greater")
    return TwoSampleResult(
        name, float(window.mean()), float(found.pvalue), float(max(0.0, window.mean() - reference.mean()))
    )


def _label_fits(reference: Observed, images: Observed, neighbours: int) -> Bool[np.ndarray, " count"]:
    if reference.labels is None:
        raise ValueError("the reference has no labels")
    index = NearestNeighbors(n_neighbors=neighbours).fit(reference.latents)
    nearest = index.kneighbors(None if images is reference else images.latents, return_distance=False)
    votes = np.zeros((len(images), int(reference.labels.max()) + 1), "int32")
    np.add.at(votes, (np.arange(len(images))[:, None], reference.labels[nearest]), 1)
    return votes.argmax(axis=1) == images.labels
