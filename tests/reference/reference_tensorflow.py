"""What transformers 4, its TFBertModel and classifier, makes of every case of a folder, see cases.py.

With .reference/tensorflow first on PYTHONPATH:

    python tests/reference/reference_tensorflow.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from cases import NOT_IN_TENSORFLOW
from safetensors.numpy import load_file
from transformers import BertConfig, TFBertForSequenceClassification, TFBertModel
from transformers.modeling_tf_pytorch_utils import (
    convert_tf_weight_name_to_pt_weight_name,
    load_pytorch_state_dict_in_tf2_model,
)


def load(kind, folder, inputs):
    """A model with the weights of a checkpoint: kind.from_pretrained fails on safetensors with this TensorFlow."""
    model = kind(BertConfig.from_pretrained(folder))
    model(inputs)  # builds it
    return load_pytorch_state_dict_in_tf2_model(model, load_file(folder / "model.safetensors"))


def encode(folder, inputs):
    model = load(TFBertModel, folder, inputs)
    outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
    return {
        "hidden_states": tf.stack(outputs.hidden_states),
        "attentions": tf.stack(outputs.attentions),
        "pooled": outputs.pooler_output,
    }


def gradients(folder, inputs):
    model = load(TFBertForSequenceClassification, folder, inputs)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(**inputs, training=True).loss)
    found = {}
    for variable, gradient in zip(model.weights, tape.gradient(loss, model.weights), strict=True):
        name, transpose = convert_tf_weight_name_to_pt_weight_name(variable.name, tf_weight_shape=variable.shape)
        gradient = tf.convert_to_tensor(gradient)
        found[f"gradient {name}"] = tf.transpose(gradient) if transpose.value == "simple" else gradient
    return {"loss": loss, **found}


def main(folder):
    for path in sorted(folder.glob("*/inputs.npz")):
        case, inputs = path.parent, {name: tf.constant(array) for name, array in np.load(path).items()}
        if case.name in NOT_IN_TENSORFLOW:
            continue
        outputs = (gradients if "labels" in inputs else encode)(case, inputs)
        np.savez(case / "tensorflow.npz", **{name: tensor.numpy() for name, tensor in outputs.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
