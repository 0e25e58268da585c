"""The blocks of docs/distributed.md run under torchrun on two processes."""

import os
import subprocess
import sys
from pathlib import Path

from core.ranks import ROOT
from doc_blocks import read_blocks


def test_the_page_runs_under_torchrun(tmp_path: Path) -> None:
    blocks = read_blocks(ROOT / "docs" / "distributed.md", "python")
    assert all(block.no_run and "under torchrun" in block.no_run for block in blocks)
    after = [
        "policies = [None, None]",
        "dist.all_gather_object(policies, loader.policy.weights)",
        "assert policies[0] == policies[1]",
        "assert recorded.records.unseen == 0 and len(sharded.records) == 128",
        "for name in [name for name in globals() if name != 'dist' and not name.startswith('__')]:",
        "    del globals()[name]  # DDP goes before its group, as the page says",
        "__import__('gc').collect()  # what stands in a cycle too",
        "dist.destroy_process_group()",
        "__import__('core.ranks').ranks.assert_no_gloo()",
    ]
    script = tmp_path / "page.py"
    script.write_text("\n".join([*(block.code for block in blocks), *after]), encoding="utf-8")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == [
        f"{a}-{n}.pt" for a in ("loader", "shared") for n in (0, 1)
    ]
