"""README and docs: python blocks run, in order, in an empty folder; links point at files; commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.device_routes import why_no_route
from devices import DeviceEnum

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)


#: the page's blocks compile for a kind whose tools `make devices-env` installs
NEEDS_TOOLS = {"nvidia.md": DeviceEnum.DEVICE_KIND_NVIDIA}

#: the page's blocks run a model folder that its reader is supposed to have
NEEDS_A_MODEL = {"runtime.md"}

MODEL = """
import json, torch
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

class Net(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)

graph = Torch2GraphConverter().convert(model=Net().eval(), fake_torch_data=[torch.zeros(1, 8)])
with open("map.json", "w") as f:
    json.dump({"relu_1": "X64:0"}, f)
Manager().optimize("Net", [DeviceEnum.DEVICE_KIND_X64], graph, "outputs", "map.json")
"""


@pytest.mark.parametrize("page", [p for p in PAGES if python_blocks(p)], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    if page.name in NEEDS_TOOLS and (lacking := why_no_route(NEEDS_TOOLS[page.name])):
        pytest.skip(lacking)
    if page.name in NEEDS_A_MODEL:
        (tmp_path / "model.py").write_text(MODEL)
        subprocess.run([sys.executable, "model.py"], check=True, cwd=tmp_path)
    script = tmp_path / "page.py"
    script.write_text("\n".join(python_blocks(page)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_point_at_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
