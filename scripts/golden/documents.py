"""Golden data of files with several pictures: kernels/imaging and kernels/imaging/document.

    pip install pillow==11.3.0 numpy reportlab==5.1.0; apt install poppler-utils
    python scripts/golden/documents.py

writes kernels/imaging/testdata/: pages/ (small TIFF files of several pages, animated WebP and PNG files) and pages.json
(their pages and frames as Pillow's ImageSequence converts them to RGB over white, with how long they last); and
kernels/imaging/document/testdata/: PDF files, and pdf.json (their pages as pdftoppm draws them at 144 dots an inch, each square
of 16 x 16 pixels averaged: two programs smooth edges differently).
"""

import base64, io, json, pathlib, shutil, struct, subprocess, tempfile, zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, ImageSequence

OUT = pathlib.Path(__file__).parents[2] / "kernels/imaging/testdata"


def scene(w, h, k):
    """A picture of number k: gradients and a block that moves."""
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack(
        [(40 + 5 * x + 31 * k) % 256, (220 - 6 * y + 17 * k) % 256, (3 * x + 5 * y + 60 * k) % 256],
        -1,
    ).astype(np.uint8)
    p[2 + k : 7 + k, 3:11] = (230, 40, 50)
    return Image.fromarray(p)


def sprite(w, h, k, soft):
    """A picture of number k that is transparent around a block, and half transparent inside if it is soft."""
    p = np.zeros((h, w, 4), np.uint8)
    p[1 + k : 7 + k, 2:10] = (30 * k, 200 - 40 * k, 90, 255)
    if soft:
        p[3 + k : 5 + k, 4:8, 3] = 100 + 30 * k
    return Image.fromarray(p)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def apng(w, h, frames, first=None):
    """An animated PNG file of frames (picture, x, y, disposal, blend). first is a default picture that is not part of it. Pillow's own
    writer decides by itself what a frame covers."""
    out, seq = (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 6, 0, 0, 0)),
        0,
    )
    out += png_chunk(b"acTL", struct.pack(">II", len(frames), 0))
    packed = lambda im: zlib.compress(
        b"".join(b"\0" + row.tobytes() for row in np.asarray(im.convert("RGBA")))
    )
    if first is not None:
        out += png_chunk(b"IDAT", packed(first))
    for i, (im, x, y, dispose, blend) in enumerate(frames):
        out += png_chunk(
            b"fcTL",
            struct.pack(
                ">IIIIIHHBB", seq, im.width, im.height, x, y, 100 + i, 1000, dispose, blend
            ),
        )
        seq += 1
        if i == 0 and first is None:
            out += png_chunk(b"IDAT", packed(im))
            continue
        data = packed(im)
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            out += png_chunk(b"fdAT", struct.pack(">I", seq) + part)
            seq += 1
    return out + png_chunk(b"IEND", b"")


def files():
    d = OUT / "pages"
    shutil.rmtree(d, ignore_errors=True)
    d.mkdir(parents=True)
    w, h = 24, 16
    scenes = [scene(w, h, k) for k in range(4)]
    turned = Image.Exif()
    turned[0x0112] = 6
    scenes[0].save(
        d / "pages.tiff",
        save_all=True,
        append_images=[scenes[1].convert("L"), scene(9, 31, 2), scenes[3].convert("1")],
    )
    scenes[0].save(d / "lzw.tiff", save_all=True, append_images=scenes[1:], compression="tiff_lzw")
    scenes[0].save(d / "turned.tiff", save_all=True, append_images=scenes[1:2], exif=turned)
    scenes[0].save(d / "big.tiff", save_all=True, append_images=scenes[1:], big_tiff=True)
    scenes[0].save(
        d / "lossless.webp",
        save_all=True,
        append_images=scenes[1:],
        lossless=True,
        duration=[40, 50, 60, 70],
    )
    scenes[0].save(
        d / "lossy.webp", save_all=True, append_images=scenes[1:], quality=80, duration=100
    )
    sprites = [sprite(w, h, k, False) for k in range(4)]
    sprites[0].save(
        d / "transparent.webp",
        save_all=True,
        append_images=sprites[1:],
        lossless=True,
        duration=100,
    )
    soft = [sprite(w, h, k, True) for k in range(4)]
    soft[0].save(
        d / "soft.webp", save_all=True, append_images=soft[1:], lossless=True, duration=100
    )
    scenes[0].save(d / "opaque.png", save_all=True, append_images=scenes[1:], duration=90)
    part = [sprite(14, 12, k, False) for k in range(4)]
    for name, dispose, blend in (
        ("keep-over", 0, 1),
        ("keep-source", 0, 0),
        ("erase-over", 1, 1),
        ("restore-over", 2, 1),
        ("restore-source", 2, 0),
    ):
        frames = [(scenes[0], 0, 0, 0, 0)] + [
            (im, 2 * k, k, dispose, blend) for k, im in enumerate(part)
        ]
        (d / f"{name}.png").write_bytes(apng(w, h, frames))
    (d / "default-apart.png").write_bytes(
        apng(w, h, [(s, 0, 0, 0, 0) for s in scenes[1:]], first=scenes[0])
    )
    (d / "soft.png").write_bytes(
        apng(w, h, [(scenes[0], 0, 0, 0, 0)] + [(im, 0, 0, 0, 1) for im in soft])
    )
    rows = []
    for path in sorted(d.iterdir()):
        # Where a half transparent frame is laid over what is there, Pillow mixes the alphas too, and opaque pixels
        # become transparent (PngImagePlugin, load_end). The specification's arithmetic is alpha_composite's.
        im, pages, under = Image.open(path), [], scenes[0].convert("RGBA")
        for frame in ImageSequence.Iterator(im):
            frame.load()
            lasts = frame.info.get("duration", 0)
            seen = (
                frame.convert("RGBA") if frame.mode in ("RGBA", "P", "LA") else frame.convert("RGB")
            )
            if seen.mode == "RGBA":
                seen = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert(
                    "RGB"
                )
            seen = ImageOps.exif_transpose(seen)
            if path.name == "soft.png" and pages:
                seen = under = Image.alpha_composite(under, soft[len(pages) - 1])
                seen = seen.convert("RGB")
            pages.append(
                {
                    "w": seen.width,
                    "h": seen.height,
                    "rgb": base64.b64encode(zlib.compress(seen.tobytes(), 9)).decode(),
                    "lasts": lasts,
                }
            )
        rows.append({"file": path.name, "pages": pages})
    return rows


PDF = pathlib.Path(__file__).parents[2] / "kernels/imaging/document/testdata"


def pdfs():
    from reportlab.lib.colors import CMYKColor, Color
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    PDF.mkdir(parents=True, exist_ok=True)
    for old in PDF.glob("*.pdf"):
        old.unlink()
    make = lambda name, size, **options: canvas.Canvas(
        str(PDF / name), pagesize=size, invariant=1, pageCompression=1, **options
    )
    c = make("pages.pdf", (240, 160))
    for k in range(5):
        c.setPageSize((240, 160) if k != 2 else (160, 320))
        c.setFillColorRGB(
            *[(0.9, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.2, 0.9), (0.9, 0.8, 0.1), (0.5, 0.1, 0.6)][
                k
            ]
        )
        c.rect(20 + 20 * k, 20, 60, 40, stroke=0, fill=1)
        c.setFillColorRGB(0, 0, 0)
        c.setFont("Helvetica-Bold", 28)
        c.drawString(20, 110, f"Page {k + 1}")
        c.showPage()
    c.save()
    c = make("colours.pdf", (240, 160))
    for k, colour in enumerate(
        (
            CMYKColor(1, 0, 0, 0),
            CMYKColor(0, 1, 0, 0),
            CMYKColor(0, 0, 1, 0),
            CMYKColor(0, 0, 0, 0.5),
            Color(0.2, 0.4, 0.8, alpha=0.5),
            Color(0, 0, 0, alpha=0.3),
        )
    ):
        c.setFillColor(colour)
        c.rect(10 + 38 * k, 90, 34, 60, stroke=0, fill=1)
    c.setFillColorRGB(1, 0.5, 0)
    c.rect(0, 0, 120, 40, stroke=0, fill=1)
    c.linearGradient(130, 10, 230, 70, [Color(1, 0, 0), Color(0, 0, 1)], extend=False)
    c.showPage()
    c.save()
    c = make("scan.pdf", (200, 260))
    picture = scene(100, 130, 3)
    c.drawImage(ImageReader(picture), 0, 0, 200, 260)
    c.showPage()
    c.drawImage(ImageReader(picture.convert("L")), 20, 20, 160, 220)
    c.showPage()
    c.save()
    c = make("turned.pdf", (240, 160))
    for angle in (90, 180, 270):
        c.setPageRotation(angle)
        c.setFillColorRGB(0.1, 0.5, 0.9)
        c.rect(0, 0, 100, 30, stroke=0, fill=1)
        c.setFillColorRGB(0, 0, 0)
        c.setFont("Times-Roman", 30)
        c.drawString(20, 100, f"turn {angle}")
        c.showPage()
    c.save()
    c = make("form.pdf", (240, 160))
    c.setFont("Helvetica", 14)
    c.drawString(20, 120, "Name")
    c.acroForm.textfield(
        name="name",
        x=20,
        y=60,
        width=180,
        height=40,
        value="FILLED IN",
        fontSize=24,
        fillColor=Color(0.8, 0.9, 1),
    )
    c.acroForm.checkbox(name="box", x=20, y=20, size=20, checked=True)
    c.highlightAnnotation("", (20, 115, 100, 135), Color=[1, 1, 0])
    c.save()
    c = make("locked.pdf", (240, 160), encrypt=StandardEncryption("secret", canPrint=0))
    c.drawString(20, 20, "hidden")
    c.save()
    c = make("owner.pdf", (240, 160), encrypt=StandardEncryption("", "owner", canPrint=0))
    c.setFillColorRGB(0, 0.6, 0.3)
    c.rect(20, 20, 100, 80, stroke=0, fill=1)
    c.save()
    rows = []
    for path in sorted(PDF.glob("*.pdf")):
        if path.name == "locked.pdf":
            continue
        with tempfile.TemporaryDirectory() as tmp:
            subprocess.run(
                ["pdftoppm", "-r", "144", "-cropbox", path, f"{tmp}/p"],
                check=True,
                capture_output=True,
            )
            pages = []
            for ppm in sorted(pathlib.Path(tmp).iterdir()):
                im = Image.open(ppm)
                small = im.crop((0, 0, im.width // 16 * 16, im.height // 16 * 16)).reduce(16)
                pages.append(
                    {
                        "w": im.width,
                        "h": im.height,
                        "rgb": base64.b64encode(zlib.compress(small.tobytes(), 9)).decode(),
                    }
                )
        rows.append({"file": path.name, "pages": pages})
    return rows


if __name__ == "__main__":
    poppler = (
        subprocess.run(["pdftoppm", "-v"], capture_output=True, text=True)
        .stderr.split("\n")[0]
        .split()[-1]
    )
    rows = ",\n".join(json.dumps(row) for row in pdfs())
    (PDF / "pdf.json").write_text(
        '{"made_with": %s, "cases": [\n%s\n]}\n' % (json.dumps({"poppler": poppler}), rows)
    )
    rows = ",\n".join(json.dumps(row) for row in files())
    (OUT / "pages.json").write_text(
        '{"made_with": %s, "cases": [\n%s\n]}\n'
        % (json.dumps({"pillow": PIL.__version__, "numpy": np.__version__}), rows)
    )
