"""Schedules of the learning rate and of the KL weight."""

import keras
from keras.optimizers.schedules import CosineDecay

from vaeline.params.train import TrainParams


def build_optimizer(params: TrainParams, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Adam or AdamW with a linear warm-up to `learning_rate` and a cosine decay to zero at the last step."""
    total = params.epochs * steps_per_epoch
    warmup = min(round(params.learning_rate_warmup * steps_per_epoch), total - 1)
    if warmup:
        schedule = CosineDecay(0.0, decay_steps=total - warmup, warmup_target=params.learning_rate, warmup_steps=warmup)
    else:
        schedule = CosineDecay(params.learning_rate, decay_steps=total)
    if params.optimizer == "adamw":
        return keras.optimizers.AdamW(schedule, weight_decay=params.weight_decay)
    return keras.optimizers.Adam(schedule)


def kl_weight(epoch: int, warmup: int) -> float:
    """The factor on beta in `epoch` (counted from 0). It rises linearly and is 1 after `warmup` epochs."""
    return min(1.0, (epoch + 1) / (warmup + 1))


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate at the present step."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
