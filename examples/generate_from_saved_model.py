"""Generates from an exported model with TensorFlow alone: python generate_from_saved_model.py FOLDER PROMPT."""

import sys

import tensorflow as tf

folder, prompt = sys.argv[1:]
model = tf.saved_model.load(folder)
text = model.signatures["generate"](
    prompt=tf.constant([prompt]),
    max_new_tokens=tf.constant(300),
    temperature=tf.constant(0.7),
    top_k=tf.constant(0),
    top_p=tf.constant(1.0),
    repetition_penalty=tf.constant(1.0),
    seed=tf.constant(0),
)["text"]
assert "lmkeras" not in sys.modules
print(prompt + text.numpy()[0].decode())
