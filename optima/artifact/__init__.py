"""The artifact: its manifest, the weights file, the atomic writer, the verifying reader.

Import from the files: what runs a model needs ``optima.artifact.reader`` alone.
"""
