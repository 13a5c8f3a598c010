"""Trains the built-in model; stops and resumes at any time.

    python train.py --workers 2 --dense 1500 --joint 4000 --decay 1000

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

import look
import warm
from batches import IGNORE, Batch, exact, seeded
from begin import begin
from model import Model
from vocab import Vocabulary
from world.canvas import DENSE

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / "build/builtin"
CKPT, LOG = BUILD / "ckpt/last.pt", BUILD / "train.jsonl"
WEIGHTS = {"left": 2, "right": 2}  # of the labels in the dense loss: characters are learned last


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    p.add_argument("--batch", type=int, default=24, help="pictures a worker and step")
    p.add_argument("--dense", type=int, default=1500, help="steps of the tower alone")
    p.add_argument("--joint", type=int, default=4000, help="steps of the whole model")
    p.add_argument(
        "--decay", type=int, default=1000, help="last steps, in which the learning rate falls"
    )
    p.add_argument("--lr", type=float, default=2e-3, help="of AdamW")
    p.add_argument("--muon", type=float, default=4e-3, help="learning rate of Muon")
    p.add_argument(
        "--tower",
        type=float,
        default=0.35,
        help="learning rate of the tower in the joint stage, as a share of the decoder's",
    )
    p.add_argument(
        "--dense-weight", type=float, default=1.0, help="of the patches' loss in the joint stage"
    )
    p.add_argument(
        "--look-weight",
        type=float,
        default=0.5,
        help="of the loss of heads that are taught where to look, and of rows that are taught what they talk of",
    )
    p.add_argument(
        "--practised",
        type=float,
        nargs=2,
        default=(0.6, 0.1),
        help="share of crowded pictures, in the dense stage and in the joint one",
    )
    p.add_argument(
        "--sums",
        type=int,
        default=2,
        help="sums without a picture, at most, packed behind each picture",
    )
    p.add_argument("--seed", type=int, default=2)
    p.add_argument(
        "--init",
        nargs="+",
        metavar="GGUF",
        help="model, or model and projector, to begin with where there is no checkpoint",
    )
    p.add_argument("--save", type=float, default=240, help="seconds between checkpoints")
    return p.parse_args()


def matrices(model):
    """The matrices of the layers, which Muon trains; AdamW trains the rest."""
    return {
        n: p for n, p in model.named_parameters() if p.ndim == 2 and (".blocks." in n or ".mm" in n)
    }


def optimizers(model, args, rank):
    """Muon for this worker's share of the matrices, which it sends to the others, and AdamW for the rest, which each does alike."""
    muon, adam = collections.defaultdict(list), collections.defaultdict(list)
    own = list(matrices(model))[rank :: args.workers]
    for name, p in model.named_parameters():
        if name in own:
            muon[part(name)].append(p)
        elif name not in matrices(model):
            adam[part(name)].append(p)
    groups = lambda params: [{"params": p, "part": name} for name, p in params.items()]
    return [
        torch.optim.Muon(
            groups(muon),
            lr=args.muon,
            weight_decay=0.02,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(groups(adam), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def part(name):
    return (
        "filters"
        if name == "vis.patch.weight"
        else "decoder"
        if name.startswith(("lm.", "told."))
        else "tower"
    )


def dense_loss(model, image, labels):
    """Mean over the labels of a patch, and the share of patches that show something whose label is foretold, by label."""
    total, shares = 0.0, {}
    logits = model.dense(image).float().split(list(DENSE.values()), -1)
    for (name, values), z in zip(DENSE.items(), logits):
        y = labels[name].reshape(-1)
        z = z.reshape(-1, values)
        shown = y > 0
        weight = torch.ones(values)
        weight[0] = (shown.float().mean() / (1 - shown.float().mean() + 1e-6)).clamp(
            0.01, 1
        )  # as much for nothing as for something
        total = total + WEIGHTS.get(name, 1) * F.cross_entropy(z, y, weight)
        if shown.any():
            shares[name] = (z.argmax(-1) == y)[shown].float().mean().item()
    return total / len(DENSE), shares


def look_loss(decoder, batch):
    """Mean over the heads that are taught where to look, and the share of the look that goes there, by head."""
    total, shares = 0.0, {}
    for (name, (layer, head)), (pictures, rows, columns) in zip(look.HEADS.items(), batch.looks):
        if len(rows):
            scores = decoder.scores(layer, head, pictures, rows).masked_fill(
                ~batch.mask[pictures, 0, rows], -1e9
            )
            aside = scores.logsumexp(-1) - scores.masked_fill(~columns, -1e9).logsumexp(-1)
            total = total + aside.mean() / len(look.HEADS)
            shares[name] = (-aside).exp().mean().item()
    return total, shares


def told_loss(model, batch):
    """Mean over the labels of a thing that rows of text are taught, and the share that is foretold, by label."""
    pictures, rows, labels = batch.told
    if not len(rows):
        return 0.0, {}
    logits = model.told(model.lm.middle[pictures, rows]).split(
        [DENSE[name] for name in look.TOLD], -1
    )
    shares = {
        name: (z.argmax(-1) == y).float().mean().item()
        for name, z, y in zip(look.TOLD, logits, labels.T)
    }
    return sum(F.cross_entropy(z, y) for z, y in zip(logits, labels.T)) / len(logits), shares


def write(path, value):
    part = path.with_suffix(".part")
    torch.save(value, part)
    os.replace(part, path)


class Trainer:
    def __init__(self, rank, args):
        self.rank, self.args, self.vocab = rank, args, Vocabulary()
        torch.manual_seed(args.seed)
        self.model = Model(len(self.vocab))
        self.opts = optimizers(self.model, args, rank)
        self.step = 0
        if CKPT.exists():
            self._resume()
        else:
            begin(self.model.vis)
            if args.init:
                warm.load(self.model, self.vocab, *args.init)
        if not CKPT.exists():
            self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.rng = seeded(args.seed * 1_000_003 + self.step * 7919 + rank)
        self.sums = collections.defaultdict(lambda: [0.0, 0])
        self.stage = None

    def _moments(self):
        return CKPT.with_name(f"moments-{self.rank}-of-{self.args.workers}.pt")

    def _resume(self):
        saved = torch.load(CKPT, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average, self.step = saved["average"], saved["step"]
        if not self._moments().exists():
            return
        saved = torch.load(self._moments(), weights_only=True)
        if (
            saved["step"] == self.step
        ):  # else a crash came between the files, and the moments gather anew
            for opt, state in zip(self.opts, saved["opts"]):
                opt.load_state_dict(state)

    def save(self):
        CKPT.parent.mkdir(parents=True, exist_ok=True)
        write(self._moments(), {"step": self.step, "opts": [o.state_dict() for o in self.opts]})
        if self.rank == 0:
            write(
                CKPT, {"model": self.model.state_dict(), "average": self.average, "step": self.step}
            )

    def enter(self, joint):
        """Lays the gradients of a stage's parameters into one stretch of memory."""
        if (
            joint and self.step == self.args.dense
        ):  # goes on from the average, which has less of the noise of single steps
            self.model.load_state_dict(self.average)
        self.stage = joint
        for p in self.model.parameters():
            p.grad = None
        params = [
            p
            for n, p in self.model.named_parameters()
            if joint or not n.startswith(("lm.", "told."))
        ]
        self.flat = torch.zeros(
            sum(p.numel() for p in params) + 1
        )  # the last: whether it is time to save
        at = 0
        for p in params:
            p.grad = self.flat[at : at + p.numel()].view_as(p)
            at += p.numel()
        self.exchanged = [p for p in matrices(self.model).values() if p.grad is not None]

    def exchange(self):
        """Sends this worker's matrices to the others, and takes theirs."""
        own = {id(p) for group in self.opts[0].param_groups for p in group["params"]}
        flat = torch.cat(
            [
                p.detach().reshape(-1) if id(p) in own else torch.zeros(p.numel())
                for p in self.exchanged
            ]
        )
        dist.all_reduce(flat)
        for p, new in zip(self.exchanged, flat.split([p.numel() for p in self.exchanged])):
            p.data.copy_(new.view_as(p))

    def note(self, key, value, n=1):
        self.sums[key][0] += value
        self.sums[key][1] += n

    def loss(self, joint):
        batch = Batch(
            self.rng, self.vocab, self.args.batch, self.args.sums, self.args.practised[joint]
        )
        with torch.autocast("cpu", torch.bfloat16):
            if not joint:
                image = self.model.vis(batch.rgb)
            else:
                image, rows = self.model(
                    batch.rgb, batch.prefix, batch.text, batch.positions, batch.mask
                )
                asked = batch.labels != IGNORE
                logits = self.model.lm.out(rows[asked]).float()
            patches, shares = dense_loss(self.model, image, batch.dense)
        self.note("dense", patches.item())
        for name, share in shares.items():
            self.note("patch " + name, share)
        if not joint:
            return patches
        labels = batch.labels[asked]
        weights = batch.weights[asked]
        answers = (
            F.cross_entropy(logits, labels, reduction="none") * weights
        ).sum() / weights.sum()
        right = torch.zeros_like(asked)
        right[asked] = logits.argmax(-1) == labels
        for kind, whole in exact(batch, right):
            self.note("exact " + kind, float(whole))
        self.note("answers", answers.item())
        looks, looked = look_loss(self.model.lm, batch)
        told, known = told_loss(self.model, batch)
        for name, share in (*looked.items(), *known.items()):
            self.note(("looks " if name in looked else "told ") + name, share)
        return answers + self.args.dense_weight * patches + self.args.look_weight * (looks + told)

    def rate(self):
        """The factor of the learning rates."""
        end = self.args.dense + self.args.joint
        warmup = min(1.0, (self.step + 1) / 100)
        if self.step >= self.args.dense:  # the decoder wakes
            warmup = min(warmup, (self.step - self.args.dense + 1) / 100)
        return warmup * min(1.0, max(0.0, (end - self.step) / max(1, self.args.decay)))

    def share(self, part, joint):
        """The part of the learning rate that a part of the model has. A tower that moves much is hard to learn to read from; and a step that
        moves a matrix a little shakes a filter's sum over 588 pixels much."""
        return {"decoder": 1.0, "tower": 1.0, "filters": 0.1}[part] * (
            self.args.tower if joint and part != "decoder" else 1.0
        )

    def advance(self, save):
        """One step; save, of the first worker, has all workers save after it."""
        joint = self.step >= self.args.dense
        if joint != self.stage:
            self.enter(joint)
        self.flat.zero_()
        self.loss(joint).backward()
        self.flat[-1] = float(save)
        if self.args.workers > 1:
            dist.all_reduce(self.flat)
            self.flat[:-1] /= self.args.workers
        save, self.flat[-1] = self.flat[-1].item() > 0, 0
        self.flat *= min(1.0, 1.0 / (self.flat.norm().item() + 1e-6))
        for opt, lr in zip(self.opts, (self.args.muon, self.args.lr)):
            for group in opt.param_groups:
                group["lr"] = lr * self.rate() * self.share(group["part"], joint)
            opt.step()
        if self.args.workers > 1:
            self.exchange()
        self.step += 1
        if self.step % 5 == 0:
            keep = min(0.97, self.step / (self.step + 50))
            state = self.model.state_dict()
            torch._foreach_lerp_(
                list(self.average.values()), [state[k] for k in self.average], 1 - keep
            )
        if save:
            self.save()
        return save

    def report(self, seconds):
        line = {
            "time": datetime.datetime.now().isoformat(timespec="seconds"),
            "step": self.step,
            "rate": round(self.rate(), 4),
            "seconds a step": round(seconds, 2),
        }
        line |= {k: round(a / n, 3) for k, (a, n) in sorted(self.sums.items())}
        with LOG.open("a") as f:
            f.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        self.sums.clear()


def work(rank, args):
    torch.set_num_threads(1)
    if args.workers > 1:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{BUILD}/rendezvous",
            rank=rank,
            world_size=args.workers,
            timeout=datetime.timedelta(hours=3),
        )
    t = Trainer(rank, args)
    saved = reported = time.monotonic()
    since = t.step
    while t.step < args.dense + args.joint:
        if t.advance(rank == 0 and time.monotonic() - saved > args.save):
            saved = time.monotonic()
        now = time.monotonic()
        if rank == 0 and t.step % 50 == 0:
            t.report((now - reported) / (t.step - since))
            reported, since = now, t.step
    t.save()


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "rendezvous").unlink(missing_ok=True)
    args = options()
    if args.workers == 1:
        work(0, args)
    else:
        mp.spawn(work, (args,), args.workers)
