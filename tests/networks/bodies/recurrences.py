"""The documents' recurrences, one token at a time in NumPy float64.

Letters as there: x input, h output, c cell state, W input matrix, U recurrent matrix, b bias.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, h, c, weights):
    W, U, b = (np.split(weight, 4, axis=-1) for weight in weights)
    i, f, g, o = (x @ W[gate] + h @ U[gate] + b[gate] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(x, h, c, weights):
    W, U, b = (np.split(weight, 3, axis=-1) for weight in weights)  # each bias [2, units]: inputs' and outputs'
    z = sigmoid(x @ W[0] + b[0][0] + h @ U[0] + b[0][1])
    r = sigmoid(x @ W[1] + b[1][0] + h @ U[1] + b[1][1])
    # the reset acts after the recurrent matrix
    candidate = np.tanh(x @ W[2] + b[2][0] + r * (h @ U[2] + b[2][1]))
    return z * h + (1 - z) * candidate, c


def simple_rnn(x, h, c, weights):
    W, U, b = weights
    return np.tanh(x @ W + h @ U + b), c


CELLS = {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn}
