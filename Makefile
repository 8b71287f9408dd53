# Two commands set everything up from nothing but Python 3.11+, make, a C compiler and pip:
#   make demo    trace, map, split, compile, run and compare two models
#   make test    lint, type-check and test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Qualcomm's AI Stack License holds for what `hexagon` brings in, Intel's EULA for `opencl-cpu`, NVIDIA's for
# `nvidia`; see NOTICE.
DEVICE_EXTRAS := openvino,hexagon,tpu,cross,spirv,opencl-cpu,nvidia
DEVICE_PACKAGES := g++ libusb-1.0-0 libvulkan1 mesa-vulkan-drivers spirv-tools qemu-user libc6-arm64-cross libc6-armhf-cross libc6-i386-cross

.PHONY: demo test test-slow test-devices devices-env myriad-env spirv-cases lint zoo-env conformance zoo bench clean

$(STAMP): pyproject.toml $(wildcard optima/native/*.c optima/native/*.h)
	@$(PYTHON) -c 'import sys; sys.exit("Optima needs Python 3.11 or newer; run: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[compile,onnx,plot,dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m examples.demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow --timeout 1800

# Every operator case that the SPIR-V backend claims, in both flavours, on a device or a CPU. About half an hour.
spirv-cases: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[spirv,opencl-cpu]'
	$(BIN)/python -m conformance.opencl_icd
	$(BIN)/python -m pytest -n 2 -m slow --timeout 600 tests/backends/spirv

# torchvision's wheel asks for a CUDA torch; --no-deps keeps torch's pin.
zoo-env: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pillow pyyaml huggingface_hub tqdm regex requests tokenizers safetensors packaging
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchvision==0.28.0 timm==1.0.31 transformers==5.23.0

# The compilers and simulators of devices other than X64: from PyPI, and from Debian where this user is root.
devices-env: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(DEVICE_EXTRAS)]'
	$(BIN)/python -m conformance.opencl_icd
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; apt-get install -qq -y $(DEVICE_PACKAGES) >/dev/null 2>&1 \
	  || { apt-get update -qq && apt-get install -qq -y $(DEVICE_PACKAGES) >/dev/null; } \
	  || echo "apt-get could not install $(DEVICE_PACKAGES): what needs them is skipped"; \
	else echo "for all of it, as root: apt-get install $(DEVICE_PACKAGES)"; fi
	@for old in python3.9 python3.8; do \
	  if $$old --version >/dev/null 2>&1; then $(MAKE) --no-print-directory myriad-env MYRIAD_PYTHON=$$old && break; fi; \
	done; true
	$(BIN)/optima toolchains

# The last OpenVINO that compiles for MYRIAD sticks, in an environment of its own: its wheels end at CPython 3.9.
MYRIAD_PYTHON ?= python3.8
myriad-env:
	test -x .venv-myriad/bin/python || $(MYRIAD_PYTHON) -m venv .venv-myriad
	.venv-myriad/bin/python -m pip install --quiet --disable-pip-version-check openvino==2021.4.2 numpy
	@echo "export OPTIMA_MYRIAD_PYTHON=$(CURDIR)/.venv-myriad/bin/python"

# A fixed slice for real; each part skips with its reason where its tool is absent.
test-devices: $(STAMP)
	OPTIMA_MYRIAD_PYTHON="$${OPTIMA_MYRIAD_PYTHON:-$(wildcard $(CURDIR)/.venv-myriad/bin/python)}" \
	OPTIMA_TEST_DEVICES=1 $(BIN)/python -m pytest -n 2 -m 'not slow' -rs tests/backends tests/tflite_export

# PyTorch's own operator tests: fails for a claim of conformance/claims.txt that no longer holds. About half an hour.
conformance: $(STAMP)
	$(BIN)/python -m conformance --check

# Real models, one process each; rewrites docs/zoo.md. About an hour.
zoo: zoo-env
	$(BIN)/python -m zoo.sweep --write docs/zoo.md

bench: $(STAMP)
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.compile
	$(BIN)/python -m benchmarks.convert
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.split

clean:
	rm -rf $(VENV) .venv-myriad build *.egg-info optima/native/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
