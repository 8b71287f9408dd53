"""A backend that compiles everything and runs nothing: it keeps the pipeline honest without any device."""
