"""Folders that look like Qualcomm's SDK, with scripts that behave, or misbehave, in its place."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

#: what each fault adds before the script writes its output, or instead of it
FAULTS = {
    "hangs": "import time; time.sleep(60)",
    "crashes": "import os; os.kill(os.getpid(), 11)",
    "fails": "sys.exit('ERROR: Operator Erf is not supported')",
    "prints garbage": "sys.stdout.buffer.write(bytes(range(256))); out.write_bytes(bytes(range(256))); sys.exit(0)",
    "writes nothing": "print('Conversion completed successfully'); sys.exit(0)",
    "writes an empty file": "out.write_bytes(b''); sys.exit(0)",
    "writes two": "out.with_name('second.dlc').write_bytes(DLC)",
}

_SCRIPT = """#!{python}
# one of the SDK's python scripts
import json, sys
from pathlib import Path

DLC = {dlc!r}
words = sys.argv[1:]
out = Path(words[words.index({flag!r}) + 1])
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + "\\n")
{fault}
out.write_bytes(DLC)
print("Writing quantized model")
"""


def dlc_bytes() -> bytes:
    """An archive with the documented entry; nothing of Qualcomm's is in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("dlc.metadata", "test")
        archive.writestr("model", b"not a model")
    return buffer.getvalue()


def make_sdk(root: Path, converter_fault: str = "", quantiser_fault: str = "") -> Path:
    """An SDK whose tools log their arguments to ``<root>/log.jsonl``; a fault is a key of ``FAULTS``."""
    folder = root / "bin" / "x86_64-linux-clang"
    folder.mkdir(parents=True)
    for name, flag, fault in (
        ("snpe-onnx-to-dlc", "--output_path", converter_fault),
        ("snpe-dlc-quant", "--output_dlc", quantiser_fault),
    ):
        text = _SCRIPT.format(
            python=sys.executable, dlc=dlc_bytes(), flag=flag, log=str(root / "log.jsonl"), fault=FAULTS.get(fault, "")
        )
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return root
