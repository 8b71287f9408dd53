"""A visitor over lowered TensorIR that writes shader text. What it does not know it refuses: never a guess."""
