"""A backend that misbehaves on purpose."""
