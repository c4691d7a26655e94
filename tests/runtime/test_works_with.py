"""What `@shaped` lives beside: autograd, vmap, autocast, DDP, FSDP2, DTensor, nested tensors, tracing, threads, mypy."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Float32
from torch import Tensor

import shapecheck
from shapecheck import ShapeError, shaped

R = torch.randn


@shaped
def score(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    s: Float[Tensor, "B G"] = torch.einsum("bd,bgd->bg", q, p)
    return s


@shaped
def one(q: Float[Tensor, " D"], p: Float[Tensor, "G D"]) -> Float[Tensor, " G"]:
    return p @ q


def test_vmap(q, p):
    torch.testing.assert_close(torch.vmap(one)(q, p), score(q, p))
    torch.testing.assert_close(torch.vmap(one, in_dims=(0, 1))(q, p.transpose(0, 1)), score(q, p))
    with pytest.raises(ShapeError, match="argument p"):
        torch.vmap(one)(q, p[..., :-1])


def test_func_transforms(q, p):
    gradient = torch.func.grad(lambda q, p: score(q, p).sum())(q, p)
    torch.testing.assert_close(gradient, p.sum(1))
    assert torch.func.jacrev(one)(q[0], p[0]).shape == (8, 16)
    assert torch.func.jvp(one, (q[0], p[0]), (q[0], p[0]))[0].shape == (8,)
    module = torch.nn.Linear(16, 16)

    @shaped
    def apply(weights: dict[str, Float[Tensor, "..."]], x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return torch.func.functional_call(module, weights, (x,))

    assert apply(dict(module.named_parameters()), q).shape == (4, 16)


def test_autograd_and_checkpointing(q, p):
    from torch.utils.checkpoint import checkpoint

    q.requires_grad_()
    checkpoint(score, q, p, use_reentrant=False).sum().backward()
    torch.testing.assert_close(q.grad, p.sum(1))


def test_autocast():
    layer = torch.nn.Linear(16, 4)

    @shaped
    def strict(x: Float32[Tensor, "B D"]) -> Float32[Tensor, "B 4"]:
        return layer(x)

    @shaped(autocast_ok=True)
    def lenient(x: Float32[Tensor, "B D"]) -> Float32[Tensor, "B 4"]:
        return layer(x)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lenient(R(2, 16)).dtype is torch.bfloat16
        with pytest.raises(ShapeError, match='return value: dtype is bfloat16, Float32 "B 4" was declared'):
            strict(R(2, 16))
    with pytest.raises(ShapeError, match="argument x: dtype is bfloat16"):
        lenient(R(2, 16).bfloat16())


def test_meta_and_fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    assert score(torch.empty(4, 16, device="meta"), torch.empty(4, 8, 16, device="meta")).shape == (4, 8)
    with FakeTensorMode():
        assert score(torch.empty(4, 16), torch.empty(4, 8, 16)).shape == (4, 8)
        with pytest.raises(ShapeError):
            score(torch.empty(4, 16), torch.empty(5, 8, 16))


def test_jagged_nested_tensors():
    @shaped
    def pool(x: Float[Tensor, "B S D"]) -> Float[Tensor, "B D"]:
        same: Float[Tensor, "B S D"] = x * 2
        return torch.stack([row.mean(0) for row in same.unbind()])

    nested = torch.nested.nested_tensor([R(2, 4), R(3, 4)], layout=torch.jagged)
    for _ in range(2):
        assert pool(nested).shape == (2, 4)
    with pytest.raises(ShapeError, match="argument x"):
        pool(nested[0])


@pytest.mark.filterwarnings("ignore")  # the tracer warns of every comparison of sizes
def test_jit_trace(q, p):
    def fresh(q, p):
        return torch.einsum("bd,bgd->bg", q, p)

    checked = shaped(fresh, axes={"q": "B D", "p": "B G D", "return": "B G"})
    traced = torch.jit.trace(checked, (q, p), check_trace=False)
    torch.testing.assert_close(traced(q, p), fresh(q, p))
    with pytest.raises(ShapeError):
        torch.jit.trace(checked, (q, p[:-1]), check_trace=False)


def test_subclasses_and_parameters(q, p):
    class Marked(torch.Tensor):
        pass

    assert isinstance(score(q.as_subclass(Marked), p), Marked)
    assert score(torch.nn.Parameter(q), p).shape == (4, 8)


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(16, 8)

    @shaped
    def forward(self, x: Float[Tensor, "B 16"]) -> Float[Tensor, "B 8"]:
        y: Float[Tensor, "B 8"] = self.linear(x)
        return y


def test_copies_and_pickles():
    for encoder in (copy.deepcopy(Encoder()), pickle.loads(pickle.dumps(Encoder()))):
        assert encoder(R(2, 16)).shape == (2, 8)
        with pytest.raises(ShapeError):
            encoder(R(16))


def test_hooks_and_data_parallel_wrappers_see_a_plain_module():
    encoder, seen = Encoder(), []
    encoder.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    torch.nn.DataParallel(encoder)(R(2, 16))
    assert seen == [(2, 8)]


WORKER = """
import os, sys
import torch, torch.distributed as dist
import torch.multiprocessing as mp
from jaxtyping import Float
from torch import Tensor
from shapecheck import ShapeError
from shapecheck import shaped

class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(16, 8)

    @shaped
    def forward(self, x: Float[Tensor, "B 16"]) -> Float[Tensor, "B 8"]:
        y: Float[Tensor, "B 8"] = self.linear(x)
        return y

@shaped
def gather(x: Float[Tensor, "B D"], world: int) -> Float[Tensor, "B*{world} D"]:
    parts = [torch.empty_like(x) for _ in range(world)]
    dist.all_gather(parts, x)
    return torch.cat(parts)

def refused(f, *args):
    try:
        f(*args)
    except ShapeError:
        return True
    return False

def work(rank, file):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
    torch.manual_seed(rank)
    x = torch.randn(4, 16)

    from torch.nn.parallel import DistributedDataParallel
    ddp = DistributedDataParallel(Encoder())
    ddp(x).sum().backward()
    assert refused(ddp, torch.randn(16)), "DDP lets a wrong call pass"
    assert gather(x, 2).shape == (8, 16)

    from torch.distributed.device_mesh import init_device_mesh
    mesh = init_device_mesh("cpu", (2,))
    from torch.distributed.fsdp import fully_shard
    sharded = Encoder()
    fully_shard(sharded.linear, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    sharded(x).sum().backward()
    assert sharded.linear.weight.grad is not None
    assert refused(sharded, torch.randn(16)), "FSDP2 lets a wrong call pass"

    from torch.distributed.tensor import Shard, distribute_tensor
    whole = torch.arange(32.).view(4, 8)
    spread = distribute_tensor(whole, mesh, [Shard(0)])

    @shaped
    def double(t: Float[Tensor, "B D"], like: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return t * 2
    assert double(spread, whole).shape == (4, 8)      # the global shape
    assert refused(double, spread, whole[:2])
    dist.barrier()
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.start_processes(work, args=(sys.argv[1],), nprocs=2, start_method="fork")
    print("both done")
"""


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo is not built in")
def test_ddp_fsdp2_and_dtensor_on_two_processes(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "store")], capture_output=True, text=True, timeout=240
    )
    assert "both done" in done.stdout, done.stdout + done.stderr


def test_threads_never_mix_their_sizes():
    """Eight threads, different shapes, right and wrong calls: each verdict belongs to its own call."""

    @shaped
    def fresh(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
        s: Float[Tensor, "B G"] = p[:, :, 0]
        return s

    wrong = []
    start = threading.Barrier(8)

    def work(number):
        b, g, d = number + 1, number % 3 + 2, number + 3
        good, bad = (R(b, d), R(b, g, d)), (R(b, d), R(b + 1, g, d))
        start.wait()
        for turn in range(1500):
            try:
                fresh(*(good if turn % 2 else bad))
                passed = True
            except ShapeError as error:
                passed = False
                if f"B = {b} by argument q" not in str(error):
                    wrong.append(str(error))
            if passed != bool(turn % 2):
                wrong.append((number, turn, passed))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


TYPED = """
from shapecheck import check
from shapecheck import no_broadcast
from shapecheck import shaped

@shaped
def f(x: float, k: int = 1) -> float:
    return check(x, "B")

@shaped(independent="B", first_k=3)
def g(x: float) -> float:
    with no_broadcast("rank"):
        return f(x, k=2)

@shaped
class Box:
    size: int = 3

reveal_type(f)
reveal_type(g)
reveal_type(Box().size)
f(3, k="a")
"""
CONFIG = "[mypy]\nstrict = true\n[mypy-torch.*,jaxtyping.*,beartype.*,numpy.*]\nfollow_imports = skip\n"


def test_static_checkers_see_the_function_itself(tmp_path):
    (tmp_path / "typed.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text(CONFIG)
    home = str(Path(shapecheck.__file__).parents[1])
    command = [sys.executable, "-m", "mypy", "typed.py"]
    out = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "MYPYPATH": home}
    ).stdout
    found = [line for line in out.splitlines() if line.startswith("typed.py")]
    assert [line.partition(": ")[2] for line in found] == [
        'note: Revealed type is "def (x: float, k: int =) -> float"',
        'note: Revealed type is "def (x: float) -> float"',
        'note: Revealed type is "int"',
        'error: Argument "k" to "f" has incompatible type "str"; expected "int"  [arg-type]',
    ], out


def test_a_mock_stands_for_any_value():
    from unittest.mock import Mock

    @shaped
    def params(
        model: torch.nn.Module, x: Float[Tensor, "B D"], named: dict[str, Tensor]
    ) -> dict[str, Float[Tensor, "B D"]]:
        return {"w": x, **named}

    found = params(Mock(), Mock(), {"b": Mock(), "w": torch.zeros(2, 3)})
    assert found["w"].shape == (2, 3)
    with pytest.raises(ShapeError, match="argument named"):
        params(Mock(), Mock(), {"b": 3})
