"""The TFLite routes of the operators: one file per family beside this one, and what they are written with.

They are composed of what the Edge TPU's compiler maps where that can be done
(https://coral.ai/docs/edgetpu/models-intro/#supported-operations), and only of what
``ai-edge-quantizer`` turns into int8; ``optima.tflite_export.device_ops`` says which is which.
"""
