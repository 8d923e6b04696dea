"""Garbage is collected less often once this module is imported.

Each collection walks the two million objects that TensorFlow and other libraries keep.
"""

import gc

gc.set_threshold(100_000, 50, 100)


def leave_out_what_stays() -> None:
    """Collect garbage, and leave what is alive out of later collections.

    The service collects garbage whenever it has loaded a model, which took seconds in a process of many tests.
    """
    gc.collect()
    gc.freeze()
