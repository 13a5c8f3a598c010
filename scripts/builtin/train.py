"""Trains the built-in model; stops and resumes at any time.

    python train.py --workers 2 --dense 3000 --joint 10000 --decay 2000

Two stages. Dense: the tower alone learns what each patch shows. Joint: the whole model learns answers, and goes on with the patches.
The learning rate is constant until it falls to nothing in the last steps (--decay). Checkpoints go to build/builtin/ckpt, a log of losses and
exact match by kind to build/builtin/train.jsonl: every picture is new, so the share of answers foretold whole is that of fresh questions.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

import warm
from batches import IGNORE, Batch, exact, seeded
from model import Model
from vocab import Vocabulary
from world.canvas import DENSE

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / "build/builtin"
CKPT, LOG = BUILD / "ckpt/last.pt", BUILD / "train.jsonl"
NOTHING = 0.15  # weight of a patch that shows nothing, against one that shows something


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    p.add_argument("--batch", type=int, default=16, help="pictures a worker and step")
    p.add_argument("--dense", type=int, default=3000, help="steps of the tower alone")
    p.add_argument("--joint", type=int, default=10000, help="steps of the whole model")
    p.add_argument("--decay", type=int, default=2000, help="last steps, in which the learning rate falls")
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--dense-weight", type=float, default=0.3, help="of the patches' loss in the joint stage")
    p.add_argument("--sums", type=int, default=1, help="sums without a picture, packed behind each picture")
    p.add_argument("--seed", type=int, default=2)
    p.add_argument("--init", nargs=2, metavar=("MODEL", "PROJECTOR"), help="GGUF files to begin with, where there is no checkpoint")
    p.add_argument("--save", type=float, default=240, help="seconds between checkpoints")
    return p.parse_args()


def optimizers(model, lr):
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and (".blocks." in n or ".mm" in n)]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [torch.optim.Muon(matrices, lr=lr, weight_decay=0.02, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.01)]


def dense_loss(model, image, labels):
    """Mean over the labels of a patch, and the share of patches that show something whose label is foretold, by label."""
    total, shares = 0.0, {}
    logits = model.dense(image).float().split(list(DENSE.values()), -1)
    for (name, values), z in zip(DENSE.items(), logits):
        y = labels[name].reshape(-1)
        z = z.reshape(-1, values)
        weight = torch.full((values,), 1.0)
        weight[0] = NOTHING
        total = total + F.cross_entropy(z, y, weight)
        shown = y > 0
        if shown.any():
            shares[name] = (z.argmax(-1) == y)[shown].float().mean().item()
    return total / len(DENSE), shares


class Trainer:
    def __init__(self, rank, args):
        self.rank, self.args, self.vocab = rank, args, Vocabulary()
        torch.manual_seed(args.seed)
        self.model = Model(len(self.vocab))
        self.opts = optimizers(self.model, args.lr)
        self.params = [p for p in self.model.parameters()]
        self.step = 0
        if CKPT.exists():
            self._resume()
        elif args.init:
            warm.load(self.model, self.vocab, *args.init)
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()} if not CKPT.exists() else self.average
        self.rng = seeded(args.seed * 1_000_003 + self.step * 7919 + rank)
        self.sums = collections.defaultdict(lambda: [0.0, 0])

    def _resume(self):
        saved = torch.load(CKPT, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average, self.step = saved["average"], saved["step"]
        for opt, state in zip(self.opts, saved["opts"]):
            opt.load_state_dict(state)

    def save(self):
        CKPT.parent.mkdir(parents=True, exist_ok=True)
        part = CKPT.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "average": self.average, "step": self.step, "opts": [o.state_dict() for o in self.opts]}, part)
        os.replace(part, CKPT)

    def note(self, key, value, n=1):
        self.sums[key][0] += value
        self.sums[key][1] += n

    def loss(self, joint):
        batch = Batch(self.rng, self.vocab, self.args.batch, self.args.sums)
        with torch.autocast("cpu", torch.bfloat16):
            if not joint:
                image = self.model.vis(batch.rgb)
            else:
                image, rows = self.model(batch.rgb, batch.prefix, batch.text, batch.positions, batch.mask)
                asked = batch.labels != IGNORE
                logits = self.model.lm.out(rows[asked]).float()
            patches, shares = dense_loss(self.model, image, batch.dense)
        self.note("dense", patches.item())
        for name, share in shares.items():
            self.note("patch " + name, share)
        if not joint:
            return patches
        labels = batch.labels[asked]
        answers = F.cross_entropy(logits, labels)
        right = torch.zeros_like(asked)
        right[asked] = logits.argmax(-1) == labels
        for kind, whole in exact(batch, right):
            self.note("exact " + kind, float(whole))
        self.note("answers", answers.item())
        return answers + self.args.dense_weight * patches

    def rate(self):
        end = self.args.dense + self.args.joint
        warmup = min(1.0, (self.step + 1) / 150)
        if self.step >= self.args.dense:  # the decoder wakes
            warmup = min(warmup, (self.step - self.args.dense + 1) / 150)
        return self.args.lr * warmup * min(1.0, max(0.0, (end - self.step) / max(1, self.args.decay)))

    def advance(self):
        joint = self.step >= self.args.dense
        for opt in self.opts:
            for group in opt.param_groups:
                group["lr"] = self.rate()
            opt.zero_grad()
        self.loss(joint).backward()
        with_grad = [p for p in self.params if p.grad is not None]
        flat = torch.cat([p.grad.reshape(-1) for p in with_grad])
        if self.args.workers > 1:
            dist.all_reduce(flat)
            flat /= self.args.workers
        flat *= min(1.0, 1.0 / (flat.norm().item() + 1e-6))
        for p, g in zip(with_grad, flat.split([p.numel() for p in with_grad])):
            p.grad.copy_(g.view_as(p))
        for opt in self.opts:
            opt.step()
        self.step += 1
        if self.rank == 0:
            keep = min(0.998, self.step / (self.step + 50))
            state = self.model.state_dict()
            torch._foreach_lerp_(list(self.average.values()), [state[k] for k in self.average], 1 - keep)

    def report(self, seconds):
        line = {"time": datetime.datetime.now().isoformat(timespec="seconds"), "step": self.step, "lr": round(self.rate(), 6), "seconds a step": round(seconds, 2)}
        line |= {k: round(a / n, 3) for k, (a, n) in sorted(self.sums.items())}
        with LOG.open("a") as f:
            f.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        self.sums.clear()


def work(rank, args):
    torch.set_num_threads(1)
    if args.workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{BUILD}/rendezvous", rank=rank, world_size=args.workers, timeout=datetime.timedelta(hours=3))
    t = Trainer(rank, args)
    saved = reported = time.monotonic()
    since = t.step
    while t.step < args.dense + args.joint:
        t.advance()
        now = time.monotonic()
        if rank == 0 and t.step % 50 == 0:
            t.report((now - reported) / (t.step - since))
            reported, since = now, t.step
        if rank == 0 and now - saved > args.save:
            t.save()
            saved = now
    if rank == 0:
        t.save()


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "rendezvous").unlink(missing_ok=True)
    args = options()
    if args.workers == 1:
        work(0, args)
    else:
        mp.spawn(work, (args,), args.workers)
