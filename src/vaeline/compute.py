"""What the arithmetic runs on."""

import keras


def fix_threads(threads: int) -> None:
    """Give TensorFlow `threads` threads; call it before the first operation, since another number gives other bits.

    JAX takes its threads from the environment when it starts and is left alone.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
