"""Made by ``python -m tests.backends.snpe.write_table`` with onnxruntime-qnn 2.7.0; do not edit."""

NOT_TAKEN: dict[str, str] = {
    "acos": "Acos",
    "asinh": "Asinh",
    "atanh": "Atanh",
    "cosh": "Cosh",
    "erf": "Erf",
    "fmod": "Mod",
    "hardshrink": "Shrink",
    "max_pool3d": "MaxPool",
    "pixel_unshuffle": "Reshape, Transpose",
    "prod": "ReduceProd",
    "remainder": "Mod",
    "rnn_relu": "RNN",
    "rnn_tanh": "RNN",
    "sinh": "Sinh",
    "softshrink": "Shrink",
    "tril": "Trilu",
    "triu": "Trilu",
}
