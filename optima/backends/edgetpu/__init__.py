"""The Coral Edge TPU: a full-int8 ``.tflite``, compiled by ``edgetpu_compiler`` where that is found."""
