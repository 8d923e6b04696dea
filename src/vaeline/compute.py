"""The number of threads for TensorFlow."""

import keras


def fix_threads(threads: int) -> None:
    """Give TensorFlow `threads` threads. Another number gives other bits, so call it before the first operation.

    JAX reads its number of threads from the environment when it starts. It is not changed here.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
