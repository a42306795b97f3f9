"""What memory is left, from files as Linux writes them, what a network takes, and what becomes of what it frees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from brainmri_monai.engines.memory import available_memory, is_out_of_memory, network_bytes

GIGABYTE = 1 << 30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="ascii")
    return root


MACHINE = {"proc/meminfo": f"MemTotal: {32 << 20} kB\nMemAvailable: {16 << 20} kB\n"}
V2 = {
    "proc/self/cgroup": "0::/job/task\n",
    "sys/fs/cgroup/job/memory.max": str(4 * GIGABYTE),
    "sys/fs/cgroup/job/memory.current": str(3 * GIGABYTE),
    "sys/fs/cgroup/job/memory.stat": f"anon 1\ninactive_file {GIGABYTE}\n",
    "sys/fs/cgroup/job/task/memory.max": "max\n",
    "sys/fs/cgroup/job/task/memory.current": "5",
    "sys/fs/cgroup/job/task/memory.stat": "inactive_file 0\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu:/job\n4:memory:/elsewhere/job\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GIGABYTE),
    "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GIGABYTE),
    "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, 16),
        (MACHINE | V2, 2),  # the limit of a group above counts, and what is held of files does not
        (MACHINE | V1, 1),  # in a container, where the path is the machine's
        (MACHINE | V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 16),
        (MACHINE | V2 | {"proc/meminfo": f"MemAvailable: {1 << 20} kB\n"}, 1),
    ],
)
def test_least_of_all_limits_is_what_is_left(tmp_path, files, expected):
    assert available_memory("cpu", write(tmp_path, files)) == expected * GIGABYTE


def test_nothing_to_read_is_no_limit(tmp_path):
    assert available_memory("cpu", tmp_path) >= 1 << 60


def test_network_takes_what_its_activations_hold_at_once():
    """8 channels in, and 16 out of the first layer; then the second holds 16 in and 2 out: 24 floats and the input."""
    network = nn.Sequential(nn.Conv3d(1, 8, 1), nn.Conv3d(8, 16, 1), nn.Conv3d(16, 2, 1))
    need = network_bytes(network, torch.zeros(1, 1, 8, 8, 8))
    assert need == pytest.approx(1.5 * 4 * 24 + 64)


@pytest.mark.parametrize("device", ["cpu"])
def test_torch_tells_that_memory_ran_out(device):
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, device=device)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))


PAGES = """
import json, resource, torch
from brainmri_monai.engines import PrecisionInferer
from brainmri_monai.engines.memory import give_back_memory

def held(count=8, megabytes=256):
    before = resident()
    for _ in range(count):
        torch.ones(megabytes << 18)
    return resident() - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

PrecisionInferer  # what is imported late takes no part
seen = {"before": held()}
PrecisionInferer()
seen["kept"] = held()
whole = resident()
give_back_memory()
print(json.dumps(seen | {"returned": whole - resident()}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_memory_of_a_freed_tensor_serves_the_next_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", PAGES], check=True, capture_output=True, text=True)
    seen = json.loads(done.stdout)  # megabytes that stay when eight tensors of 256 came and went
    assert abs(seen["before"]) < 50, seen
    assert 200 < seen["kept"] < 800, seen
    assert seen["returned"] > 200, seen


def test_what_torch_keeps_of_a_gpu_can_be_taken(monkeypatch):
    for name, value in {"mem_get_info": (100, 900), "memory_reserved": 50, "memory_allocated": 20}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert available_memory("cuda") == 130
