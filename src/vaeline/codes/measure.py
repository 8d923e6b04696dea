"""Metrics of a codebook: usage, perplexity, nats of the codes and reconstruction error."""

import numpy as np
import pandas as pd

from vaeline.codes.usage import count_uses, perplexity
from vaeline.evaluation.group import Group
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import DECIMALS, summarize
from vaeline.images.lazy import variance
from vaeline.likelihood.bounds import posterior_scores


def measure_codes(subject: Subject) -> Measured:
    """Usage and perplexity of the codebook, nats of the codes and MSE, all over the whole test set."""
    model = subject.model
    uses = count_uses(model, subject.latents)
    places = int(uses.sum()) // len(subject.rows)
    none = np.zeros((len(subject.rows), 0), "float32")
    scores = posterior_scores(model, subject.images, subject.latents, none, subject.rows, subject.seed)
    nats, mse = scores["kl"], scores["mse"]
    columns = {"nats_per_code": nats / places, "nats_per_image": nats, "mse": mse}
    metrics = {
        "codes": len(uses),
        "codes_per_image": places,
        "usage": round(float((uses > 0).mean()), DECIMALS),
        "perplexity": round(perplexity(uses), DECIMALS),
        **summarize(pd.DataFrame(columns)),
        "mse_share": round(float(mse.mean()) / variance(subject.original_images), DECIMALS),
    }
    protocol = {
        "images": f"all {len(subject.rows)} test images, {subject.pixels}",
        "usage": "share of the codes that occur",
        "perplexity": "exp of the entropy of how often each code occurs",
        "nats": f"-log p of the codes under the {model.params.prior.kind} prior",
        "mse": "of the decoded codes per pixel; mse_share: over the variance of the test images' greys",
    }
    return Measured(metrics, protocol)


GROUP = Group("codes", lambda inputs: measure_codes(inputs.subject), applies=lambda subject: subject.model.has_codes)
