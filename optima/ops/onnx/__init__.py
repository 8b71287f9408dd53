"""The ONNX routes of the operators: one file per family beside this one, and what they are written with."""
