"""Images that must stay in one split: those of a group that the user names, and duplicates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from vaeline.data.near_duplicates import USUAL_DISTANCE, Duplicates, Groups, find_duplicates, join
from vaeline.images.lazy import ByteSource
from vaeline.params.data import AUTO, NearDuplicates


def search_distance(setting: NearDuplicates, is_own: bool) -> int | None:
    """The distance for `find_duplicates`; None if duplicates are not searched. `auto` searches those of own images."""
    if setting == AUTO:
        return USUAL_DISTANCE if is_own else None
    if isinstance(setting, bool):
        return USUAL_DISTANCE if setting else None
    return setting


def group_images(
    images: ByteSource,
    rows: Mapping[str, Integer[np.ndarray, " _"]],
    names: Sequence[str] | None,
    distance: int | None,
) -> tuple[Groups | None, dict[str, Any], list[str]]:
    """The number of each image's group (count,), what source.json says of duplicates, and sentences for the user.

    Groups are None if every image has its own.

    rows: the rows of each split that the source has; `images` may hold others, which are not used.
    names: the group of each image as the user names it, or None.
    distance: that of `find_duplicates`; None if duplicates are not searched.
    """
    used = np.sort(np.concatenate(list(rows.values())))
    groups, about, notes = np.arange(len(images)), {}, []
    if names is not None:
        groups = np.unique(np.asarray(names), return_inverse=True)[1]
        notes.append(f"data.groups makes {len(np.unique(groups[used])):,} groups; each stays in one split")
    if distance is not None:
        found = find_duplicates([images], used, distance)
        first = np.unique(found.alike, return_index=True)[1]
        groups = join(groups, used, used[first[found.alike]])
        about["duplicates"] = _counts(found)
        notes += _notes(found)
    crossing = _crossing(groups, rows)
    if crossing:
        about["duplicates_across_splits"] = crossing
        counts = " and ".join(f"{count:,} of {name}" for name, count in crossing.items())
        notes.append(
            f"{counts} have a duplicate or an image of their group in an earlier split, which is kept as it is"
        )
    return (groups if len(np.unique(groups[used])) < len(used) else None), about, notes


def _counts(found: Duplicates) -> dict[str, int]:
    """How many images are copies of another one, and how many others only look like another one."""
    equal, alike = len(np.unique(found.equal)), len(np.unique(found.alike))
    return {"equal": len(found.equal) - equal, "alike": equal - alike}


def _notes(found: Duplicates) -> list[str]:
    counts = _counts(found)
    if not any(counts.values()):
        return []
    return [f"images that are equal to another: {counts['equal']:,}; that only look like another: {counts['alike']:,}"]


def _crossing(groups: Groups, rows: Mapping[str, Integer[np.ndarray, " _"]]) -> dict[str, int]:
    """The number of images with an image of their group in an earlier split, by split; splits without are left out."""
    counts, earlier = {}, groups[:0]
    for name, taken in rows.items():
        if count := int(np.isin(groups[taken], earlier).sum()):
            counts[name] = count
        earlier = np.concatenate([earlier, groups[taken]])
    return counts
