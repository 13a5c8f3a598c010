"""Golden data of kernels/imaging: a small picture in every flavour of every format that writers make, as Pillow shows it.

    pip install pillow==11.3.0 numpy
    python scripts/golden/flavours.py

writes kernels/imaging/testdata/flavours.json.gz: files, and what they show: laid over white, upright. A file that Pillow
refuses or is known to misread has the pixels that went into it instead ("by": "construction"); what Eyelet refuses has the
words of its refusal. Files that Pillow does not write are composed here, byte by byte.
"""

import base64, gzip, io, itertools, json, pathlib, struct, zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

OUT = pathlib.Path(__file__).parents[2] / "kernels/imaging/testdata/flavours.json.gz"
W, H = 21, 13
cases, pictures = [], {}


def drawing(w=W, h=H):
    """Gradients and a block of another colour, without symmetry."""
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([40 + 9 * x, 220 - 14 * y, 60 + 4 * x + 7 * y], -1)
    p[2:6, 3:12] = (230, 40, 50)
    return p.clip(0, 255).astype(np.uint8)


RGB = drawing()
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
BITS = (GREY > 120).astype(np.uint8)
ALPHA = np.tile(np.linspace(0, 255, W).astype(np.uint8), (H, 1))


def over_white(im):
    if im.mode in ("P", "PA") or im.has_transparency_data:
        im = Image.alpha_composite(Image.new("RGBA", im.size, "white"), im.convert("RGBA"))
    return im.convert("RGB")


def seen(data):
    """What Pillow shows, None where it refuses."""
    try:
        im = Image.open(io.BytesIO(data))
        im.load()
        im = ImageOps.exif_transpose(im)
        if im.mode.startswith("I;16"):
            im = Image.fromarray((np.asarray(im) >> 8).astype(np.uint8))
        return np.asarray(over_white(im))
    except Exception:
        return None


def add(name, data, truth=None, refused=None, mistaken=False, tolerance=0):
    """Adds a file. truth is what went into it; where Pillow is mistaken, it alone counts."""
    case = {"name": name, "file": base64.b64encode(data).decode()}
    if refused is not None:
        case["refused"] = refused
    else:
        got = None if mistaken else seen(data)
        if got is None:
            assert truth is not None, name
            got = np.asarray(truth)
            if got.ndim == 2:
                got = np.repeat(got[:, :, None], 3, 2)
            case["by"] = "construction"
        elif truth is not None:
            t = np.asarray(truth).astype(int)
            t = np.repeat(t[:, :, None], 3, 2) if t.ndim == 2 else t
            if t.shape != got.shape or abs(t - got).mean() > 3:
                print("Pillow shows something else:", name)
        raw = np.ascontiguousarray(got).tobytes()
        key = f"{zlib.crc32(raw):08x}"
        pictures[key] = {
            "w": got.shape[1],
            "h": got.shape[0],
            "pix": base64.b64encode(raw).decode(),
        }
        case["shows"] = key
        if tolerance:
            case["mean_error"] = tolerance
    cases.append(case)


def saved(im, fmt, **options):
    out = io.BytesIO()
    im.save(out, fmt, **options)
    return out.getvalue()


def packed(values, bits):
    """Rows of samples of so many bits, the highest first, padded to bytes."""
    rows = []
    for row in np.asarray(values).reshape(len(values), -1):
        n = sum(int(v) << (bits * (len(row) - 1 - i)) for i, v in enumerate(row))
        length = (len(row) * bits + 7) // 8
        rows.append((n << (length * 8 - len(row) * bits)).to_bytes(length, "big"))
    return rows


def blended(rgb, alpha):
    v = rgb.astype(int) * alpha[..., None] + 255 * (255 - alpha[..., None].astype(int)) + 128
    return ((v + (v >> 8)) >> 8).astype(np.uint8)


# ---- TIFF -------------------------------------------------------------------------------------------------------------

REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def packbits(data):
    out, i = b"", 0
    while i < len(data):
        run = 1
        while i + run < len(data) and run < 128 and data[i + run] == data[i]:
            run += 1
        if run > 2:
            out += bytes([257 - run, data[i]])
            i += run
        else:
            n = min(5, len(data) - i)
            out += bytes([n - 1]) + data[i : i + n] + b"\x80"
            i += n
    return out


def lzw(data):
    """TIFF's LZW, whose codes never grow: the table is cleared before."""
    bits = (
        "".join(
            f"{256:09b}" + "".join(f"{b:09b}" for b in data[i : i + 200])
            for i in range(0, len(data), 200)
        )
        + f"{257:09b}"
    )
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


CODERS = {1: lambda d: d, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}


def tiff(
    samples,
    bits,
    photometric,
    order="<",
    big=False,
    compression=1,
    planar=1,
    tile=None,
    rows_per_strip=None,
    predictor=1,
    fill=1,
    extra=None,
    count=None,
    tags=(),
    counts=True,
):
    """A TIFF file of samples (height, width, channels)."""
    samples = np.asarray(samples)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    h, w, n = samples.shape
    planes = [samples] if planar == 1 else [samples[:, :, i : i + 1] for i in range(n)]
    th, tw = tile or (rows_per_strip or h, w)
    cells = []
    for plane in planes:
        for y, x in itertools.product(range(0, h, th), range(0, w, tw)):
            cell = plane[y : y + th, x : x + tw].astype(np.int64)
            if tile:
                cell = np.pad(
                    cell, ((0, th - cell.shape[0]), (0, tw - cell.shape[1]), (0, 0)), mode="edge"
                )
            if predictor == 2:
                cell = np.concatenate([cell[:, :1], np.diff(cell, axis=1)], 1) % (1 << bits)
            if bits == 16:
                raw = cell.astype(order + "u2").tobytes()
            elif bits == 32:
                raw = cell.astype(order + "u4").tobytes()
            else:
                raw = b"".join(packed(cell, bits))
            raw = CODERS[compression](raw)
            cells.append(raw.translate(REVERSED) if fill == 2 else raw)
    return tiff_file(
        cells,
        w,
        h,
        [bits] * n,
        photometric,
        order,
        big,
        compression,
        planar,
        tile,
        th,
        predictor,
        fill,
        extra,
        count,
        tags,
        counts,
    )


def tiff_file(
    cells,
    w,
    h,
    bits,
    photometric,
    order="<",
    big=False,
    compression=1,
    planar=1,
    tile=None,
    rows=None,
    predictor=1,
    fill=1,
    extra=None,
    count=None,
    tags=(),
    counts=True,
):
    """A TIFF file of coded strips or tiles."""
    SHORT, LONG, LONG8 = 3, 4, 16
    entries = [
        (256, SHORT, [w]),
        (257, LONG, [h]),
        (258, SHORT, bits),
        (259, SHORT, [compression]),
        (262, SHORT, [photometric]),
        (277, SHORT, [count or len(bits)]),
        (284, SHORT, [planar]),
    ]
    entries += [(266, SHORT, [fill])] if fill != 1 else []
    entries += [(317, SHORT, [predictor])] if predictor != 1 else []
    entries += [(338, SHORT, extra)] if extra is not None else []
    entries += list(tags)
    offset = 16 if big else 8
    offsets = [offset + sum(map(len, cells[:i])) for i in range(len(cells))]
    if tile:
        entries += [
            (322, SHORT, [tile[1]]),
            (323, SHORT, [tile[0]]),
            (324, LONG8 if big else LONG, offsets),
            (325, LONG, [len(c) for c in cells]),
        ]
    else:
        entries += [(278, LONG, [rows or h]), (273, LONG8 if big else LONG, offsets)]
        entries += [(279, LONG, [len(c) for c in cells])] if counts else []
    code = {1: "B", 3: "H", 4: "I", 5: "II", 7: "B", 16: "Q"}
    pack = lambda kind, values: b"".join(
        struct.pack(order + code[kind], *(v if isinstance(v, tuple) else (v,))) for v in values
    )
    pixels = b"".join(cells)
    pixels += b"\0" * (len(pixels) % 2)
    at = offset + len(pixels)
    inline = 8 if big else 4
    ifd, beyond = b"", b""
    behind = at + (8 + 20 * len(entries) + 8 if big else 2 + 12 * len(entries) + 4)
    for tag, kind, values in sorted(entries):
        value = pack(kind, values)
        ifd += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
        if len(value) <= inline:
            ifd += value.ljust(inline, b"\0")
        else:
            ifd += struct.pack(order + ("Q" if big else "I"), behind + len(beyond))
            beyond += value + b"\0" * (len(value) % 2)
    mark = b"II" if order == "<" else b"MM"
    if big:
        return (
            mark
            + struct.pack(order + "HHHQ", 43, 8, 0, at)
            + pixels
            + struct.pack(order + "Q", len(entries))
            + ifd
            + b"\0" * 8
            + beyond
        )
    return (
        mark
        + struct.pack(order + "HI", 42, at)
        + pixels
        + struct.pack(order + "H", len(entries))
        + ifd
        + b"\0" * 4
        + beyond
    )


def tiffs():
    stretched = lambda v, bits: (v.astype(int) * 255 // ((1 << bits) - 1)).astype(np.uint8)
    orders = (("<", "little"), (">", "big"))
    # Grey of all depths, either way round, in either byte and bit order.
    for (order, name), bits, photometric, fill in itertools.product(
        orders, (1, 2, 4, 8, 12, 16), (0, 1), (1, 2)
    ):
        v = GREY.astype(int) * ((1 << bits) - 1) // 255
        if bits >= 12:
            v = GREY.astype(int) << (bits - 8) | 5
        shown = stretched(v, bits) if bits < 12 else GREY
        stored = v if photometric == 1 else (1 << bits) - 1 - v
        if bits == 16 and photometric == 0:
            shown = (v >> 8).astype(np.uint8)
        add(
            f"tiff grey {bits} bits {'white' if photometric == 0 else 'black'} is zero, {name} endian, fill order {fill}",
            tiff(stored, bits, photometric, order, fill=fill, rows_per_strip=5),
            shown,
            mistaken=bits == 12 or bits == 16 and (photometric == 0 or fill == 2),
        )
    # Compressions, predictors, cuts and planes of RGB.
    deep = RGB.astype(np.uint16) << 8 | 77
    for (order, name), compression, bits, predictor, planar, cut in itertools.product(
        orders, (1, 5, 8, 32946, 32773), (8, 16), (1, 2), (1, 2), ("strips", "one strip", "tiles")
    ):
        if (
            predictor == 2
            and compression in (1, 32773)
            or order == ">"
            and compression in (32946, 32773)
        ):
            continue
        options = {"strips": {"rows_per_strip": 5}, "one strip": {}, "tiles": {"tile": (16, 16)}}[
            cut
        ]
        add(
            f"tiff RGB {bits} bits, compression {compression}, predictor {predictor}, planar {planar}, {cut}, {name} endian",
            tiff(
                RGB if bits == 8 else deep,
                bits,
                2,
                order,
                compression=compression,
                predictor=predictor,
                planar=planar,
                **options,
            ),
            RGB,
            # Pillow reads planes of 16 bits that are not compressed wrongly.
            mistaken=planar == 2 and bits == 16,
        )
    for compression in (5, 8, 32773):
        add(
            f"tiff RGB, compression {compression}, fill order 2",
            tiff(RGB, 8, 2, compression=compression, fill=2),
            RGB,
        )
    add("tiff RGB of 4 bits", tiff(RGB >> 4, 4, 2), (RGB >> 4) * 17)
    for big_order, name in orders:
        add(
            f"bigtiff RGB, {name} endian",
            tiff(RGB, 8, 2, big_order, big=True, compression=8, rows_per_strip=5),
            RGB,
        )
        add(
            f"bigtiff grey, {name} endian, tiles",
            tiff(GREY, 8, 1, big_order, big=True, tile=(16, 16)),
            GREY,
        )
    add("tiff without byte counts", tiff(RGB, 8, 2, counts=False), RGB)
    add(
        "tiff of one depth for three samples",
        tiff_file([RGB.tobytes()], W, H, [8], 2, count=3),
        RGB,
    )
    # Alpha.
    rgba = np.dstack([RGB, ALPHA])
    multiplied = np.dstack([(RGB.astype(int) * ALPHA[..., None] // 255).astype(np.uint8), ALPHA])
    for (order, name), bits in itertools.product(orders, (8, 16)):
        deepen = lambda a: a if bits == 8 else a.astype(np.uint16) << 8 | a
        for extra, what, a, shown in (
            (2, "unassociated", rgba, blended(RGB, ALPHA)),
            (1, "associated", multiplied, blended(RGB, ALPHA)),
            (0, "unspecified", rgba, RGB),
            (999, "Corel's", rgba, blended(RGB, ALPHA)),
        ):
            add(
                f"tiff RGB with {what} alpha, {bits} bits, {name} endian",
                tiff(deepen(a), bits, 2, order, extra=[extra], compression=8),
                shown,
            )
        add(
            f"tiff RGBA that does not say so, {bits} bits, {name} endian",
            tiff(deepen(rgba), bits, 2, order),
            blended(RGB, ALPHA),
        )
    add(
        "tiff RGBA in planes",
        tiff(rgba, 8, 2, extra=[2], planar=2, compression=8),
        blended(RGB, ALPHA),
    )
    add(
        "tiff RGBA in tiles with a predictor",
        tiff(rgba, 8, 2, extra=[2], tile=(16, 16), compression=5, predictor=2),
        blended(RGB, ALPHA),
    )
    add(
        "tiff RGB with alpha and one more sample",
        tiff(np.dstack([rgba, GREY]), 8, 2, extra=[2, 0]),
        blended(RGB, ALPHA),
    )
    add(
        "tiff RGB with two samples of no meaning",
        tiff(np.dstack([rgba, GREY]), 8, 2, extra=[0, 0]),
        RGB,
    )
    add(
        "tiff grey with alpha",
        tiff(np.dstack([GREY, ALPHA]), 8, 1, extra=[2]),
        blended(np.repeat(GREY[..., None], 3, 2), ALPHA),
    )
    add(
        "tiff grey with a sample of no meaning",
        tiff(np.dstack([GREY, ALPHA]), 8, 1, extra=[0]),
        GREY,
    )
    # Palettes.
    for (order, name), bits in itertools.product(orders, (1, 2, 4, 8)):
        n = 1 << bits
        indices = (np.arange(H * W).reshape(H, W) * 7) % n
        table = np.random.default_rng(bits).integers(0, 256, (n, 3))
        add(
            f"tiff palette of {bits} bits, {name} endian",
            tiff(
                indices,
                bits,
                3,
                order,
                tags=[(320, 3, (table.T * 257).ravel().tolist())],
                rows_per_strip=4,
                compression=32773 if bits == 4 else 1,
            ),
            table[indices].astype(np.uint8),
        )
        if order == "<":
            add(
                f"tiff palette of {bits} bits, of 8 bits a value",
                tiff(indices, bits, 3, order, tags=[(320, 3, table.T.ravel().tolist())]),
                table[indices].astype(np.uint8),
                mistaken=True,
            )
    add(
        "tiff palette with alpha",
        tiff(
            np.dstack([indices, ALPHA]),
            8,
            3,
            extra=[2],
            tags=[(320, 3, (table.T * 257).ravel().tolist())],
        ),
        blended(table[indices].astype(np.uint8), ALPHA),
    )
    # CMYK and Y'CbCr.
    inks = np.asarray(Image.fromarray(RGB).convert("CMYK")).copy()
    inks[..., 3] = 30
    for compression, planar in itertools.product((1, 5), (1, 2)):
        add(
            f"tiff CMYK, compression {compression}, planar {planar}",
            tiff(inks, 8, 5, compression=compression, planar=planar),
        )
    add("tiff CMYK of 16 bits", tiff(inks.astype(np.uint16) * 257, 16, 5))
    add("tiff CMYK with one more sample", tiff(np.dstack([inks, ALPHA]), 8, 5, extra=[0]))
    ycc = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    for compression in (1, 8):
        add(
            f"tiff Y'CbCr without subsampling, compression {compression}",
            tiff(ycc, 8, 6, compression=compression, tags=[(530, 3, [1, 1])]),
            RGB,
            mistaken=compression == 1,
            tolerance=1,
        )  # Pillow takes the samples for RGB
    for across, down in ((2, 1), (2, 2), (4, 1), (4, 4)):
        rows = []
        for y in range(0, H, down):
            for x in range(0, W, across):
                block = ycc[y : y + down, x : x + across]
                block = np.pad(
                    block,
                    ((0, down - block.shape[0]), (0, across - block.shape[1]), (0, 0)),
                    mode="edge",
                )
                rows.append(
                    block[..., 0].tobytes()
                    + bytes(block[..., 1:].reshape(-1, 2).mean(0).astype(np.uint8))
                )
        add(
            f"tiff Y'CbCr subsampled {across} x {down}",
            tiff_file(
                [zlib.compress(b"".join(rows))],
                W,
                H,
                [8] * 3,
                6,
                compression=8,
                tags=[(530, 3, [across, down])],
            ),
            tolerance=1,
        )
    # What Pillow and libtiff write.
    im, grey, bits = (
        Image.fromarray(RGB),
        Image.fromarray(GREY),
        Image.fromarray(BITS * 255).convert("1"),
    )
    for compression in (
        "tiff_ccitt",
        "group3",
        "group4",
        "packbits",
        "tiff_lzw",
        "tiff_adobe_deflate",
    ):
        for photometric in (0, 1):
            add(
                f"tiff 1 bit {compression}, photometric {photometric}",
                saved(bits, "TIFF", compression=compression, tiffinfo={262: photometric}),
            )
        add(
            f"tiff 1 bit {compression}, fill order 2",
            saved(bits, "TIFF", compression=compression, tiffinfo={266: 2}),
        )
    text = Image.new("1", (700, 60), 1)
    text.paste(0, (0, 0, 3, 20))
    for i in range(60):
        text.paste(0, (i * 11 % 640, i, i * 11 % 640 + i, i + 1))
        text.paste(0, (690, i, 700 if i % 3 else 695, i + 1))
    text.paste(0, (100, 40, 700, 50))
    for compression in ("tiff_ccitt", "group3", "group4"):
        add(f"tiff wide page {compression}", saved(text, "TIFF", compression=compression))
    for options in (1, 4, 5):
        add(
            f"tiff wide page group3, options {options}",
            saved(text, "TIFF", compression="group3", tiffinfo={292: options}),
        )
        add(
            f"tiff wide page group3, options {options}, strips",
            saved(text, "TIFF", compression="group3", tiffinfo={292: options, 278: 7}),
        )
    add(
        "tiff wide page group4, strips",
        saved(text, "TIFF", compression="group4", tiffinfo={278: 16}),
    )
    for mode, image in (
        ("RGB", im),
        ("grey", grey),
        ("CMYK", im.convert("CMYK")),
        ("YCbCr", im.convert("YCbCr")),
    ):
        refused = "JPEG compression of CMYK is not supported" if mode == "CMYK" else None
        add(
            f"tiff {mode} in JPEG",
            saved(image, "TIFF", compression="jpeg", quality=95),
            refused=refused,
            tolerance=1,
        )
        add(
            f"tiff {mode} in JPEG, strips",
            saved(image, "TIFF", compression="jpeg", quality=95, tiffinfo={278: 8}),
            refused=refused,
            tolerance=1,
        )
    raw = RGB.tobytes()
    frame = (
        b"\x28\xb5\x2f\xfd\x60"
        + struct.pack("<H", len(raw) - 256)
        + struct.pack("<I", len(raw) << 3 | 1)[:3]
        + raw
    )
    add("tiff zstd", tiff_file([frame], W, H, [8] * 3, 2, compression=50000), RGB)
    add(
        "tiff lzma",
        tiff_file([b"\0" * 50], W, H, [8] * 3, 2, compression=34925),
        refused="LZMA compression is not supported",
    )
    add(
        "tiff webp",
        tiff_file([b"\0" * 50], W, H, [8] * 3, 2, compression=50001),
        refused="WebP compression is not supported",
    )
    for o in range(1, 9):
        add(f"tiff orientation {o}", tiff(RGB, 8, 2, tags=[(274, 3, [o])], rows_per_strip=5))
        add(
            f"tiff orientation {o}, compressed",
            tiff(RGB, 8, 2, ">", tags=[(274, 3, [o])], compression=8),
        )
    # Refusals.
    add(
        "tiff floating point",
        tiff(GREY.astype(int), 32, 1, tags=[(339, 3, [3])]),
        refused="samples of 32 bits are not supported",
    )
    add("tiff L*a*b*", tiff(RGB, 8, 8), refused="CIE L*a*b* colours are not supported")
    add(
        "tiff old-style JPEG",
        tiff_file([b"\0" * 50], W, H, [8] * 3, 6, compression=6),
        refused="old-style JPEG compression is not supported",
    )
    add(
        "tiff of camera samples",
        tiff(GREY, 8, 32803),
        refused="raw samples of a camera's sensor are not supported",
    )
    add(
        "tiff of inks beside CMYK",
        tiff(inks, 8, 5, tags=[(332, 3, [2])]),
        refused="inks other than CMYK are not supported",
    )
    add(
        "tiff JPEG 2000",
        tiff_file([b"\0" * 50], W, H, [8] * 3, 2, compression=34712),
        refused="JPEG 2000 compression is not supported",
    )


# ---- BMP --------------------------------------------------------------------------------------------------------------


def bmp(
    pixels,
    bits,
    w=W,
    h=H,
    header=40,
    compression=0,
    palette=b"",
    masks=(),
    top_down=False,
    colours=0,
    offset=None,
    gap=b"",
):
    """A BMP file of pixels as they are stored."""
    if header == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack(
            "<IiiHHIIiiII",
            header,
            w,
            -h if top_down else h,
            1,
            bits,
            compression,
            len(pixels),
            2835,
            2835,
            colours,
            0,
        )[:header]
        if header > 40 and header != 64:
            head += b"".join(struct.pack("<I", m) for m in tuple(masks) + (0,) * 4)[:16]
            masks = ()
            head += b"BGRs" if header > 56 else b""
        head = head[:header].ljust(header, b"\0")
    head += b"".join(struct.pack("<I", m) for m in masks) + palette + gap
    at = 14 + len(head) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, at) + head + pixels


def bmps():
    flip = lambda a, top_down: a if top_down else a[::-1]
    pad = lambda row: row + b"\0" * (-len(row) % 4)
    quads = lambda table: b"".join(bytes([b, g, r, 0]) for r, g, b in table)
    for bits, header, top_down in itertools.product(
        (1, 2, 4, 8), (12, 40, 52, 56, 64, 108, 124), (False, True)
    ):
        if header == 12 and top_down:
            continue
        n = 1 << bits
        table = np.random.default_rng(bits).integers(0, 256, (n, 3)).astype(np.uint8)
        indices = (np.arange(H * W).reshape(H, W) * 5) % n
        pixels = b"".join(pad(r) for r in packed(flip(indices, top_down), bits))
        palette = b"".join(bytes([b, g, r]) for r, g, b in table) if header == 12 else quads(table)
        add(
            f"bmp {bits} bits, header of {header}, {'top' if top_down else 'bottom'} first",
            bmp(pixels, bits, header=header, palette=palette, top_down=top_down),
            table[indices],
        )
    table = np.random.default_rng(9).integers(0, 256, (9, 3)).astype(np.uint8)
    indices = (np.arange(H * W).reshape(H, W) * 5) % 9
    pixels = b"".join(pad(r.astype(np.uint8).tobytes()) for r in indices[::-1])
    add("bmp with a short palette", bmp(pixels, 8, palette=quads(table), colours=9), table[indices])
    add(
        "bmp with a gap before its pixels",
        bmp(pixels, 8, palette=quads(table), colours=9, gap=b"\1" * 10),
        table[indices],
    )
    # 16, 24 and 32 bits.
    bgr = [pad(r[:, ::-1].tobytes()) for r in RGB[::-1]]
    for header in (12, 16, 40, 52, 56, 64, 108, 124):
        add(f"bmp 24 bits, header of {header}", bmp(b"".join(bgr), 24, header=header), RGB)
    add("bmp 24 bits, top first", bmp(b"".join(bgr[::-1]), 24, top_down=True), RGB)
    wide = np.asarray(RGB).astype(np.uint32)
    fields = lambda r, g, b, a=0: (
        wide[..., 0] << r | wide[..., 1] << g | wide[..., 2] << b | np.uint32(a) * 0
    ).astype(np.uint32)
    add(
        "bmp 32 bits, the last byte full",
        bmp((fields(16, 8, 0) | 0xFF000000).astype("<u4")[::-1].tobytes(), 32),
        RGB,
    )
    add(
        "bmp 32 bits, the last byte zero",
        bmp(fields(16, 8, 0).astype("<u4")[::-1].tobytes(), 32),
        RGB,
    )
    add(
        "bmp 32 bits, the last byte any",
        bmp((fields(16, 8, 0) | ALPHA.astype(np.uint32) << 24).astype("<u4")[::-1].tobytes(), 32),
        RGB,
    )
    layouts = {"BGRX": (16, 8, 0), "RGBX": (0, 8, 16), "XBGR": (24, 16, 8), "BGXR": (24, 8, 0)}
    for (name, (r, g, b)), header in itertools.product(layouts.items(), (40, 52, 56, 108, 124)):
        add(
            f"bmp 32 bits {name} by bit fields, header of {header}",
            bmp(
                fields(r, g, b).astype("<u4")[::-1].tobytes(),
                32,
                header=header,
                compression=3,
                masks=(0xFF << r, 0xFF << g, 0xFF << b),
            ),
            RGB,
        )
    spare = {"BGRA": 24, "RGBA": 24, "ABGR": 0}
    for (name, a), header in itertools.product(spare.items(), (56, 108, 124)):
        r, g, b = {"BGRA": (16, 8, 0), "RGBA": (0, 8, 16), "ABGR": (24, 16, 8)}[name]
        masks = (0xFF << r, 0xFF << g, 0xFF << b, 0xFF << a)
        for what, alpha, shown in (
            ("", ALPHA, blended(RGB, ALPHA)),
            (" of zeros", ALPHA * 0, RGB),
            (" of 255", ALPHA * 0 + 255, RGB),
        ):
            pixels = (fields(r, g, b) | alpha.astype(np.uint32) << a).astype("<u4")[::-1].tobytes()
            add(
                f"bmp {name} with alpha{what}, header of {header}",
                bmp(pixels, 32, header=header, compression=3, masks=masks),
                shown,
                mistaken=what == " of zeros",
            )
    add(
        "bmp with alpha fields behind a short header",
        bmp(
            (fields(16, 8, 0) | ALPHA.astype(np.uint32) << 24).astype("<u4")[::-1].tobytes(),
            32,
            compression=6,
            masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        ),
        blended(RGB, ALPHA),
    )
    for name, (rb, gb, bb) in {"565": (5, 6, 5), "555": (5, 5, 5), "444": (4, 4, 4)}.items():
        cut = [RGB[..., i].astype(int) >> (8 - n) for i, n in enumerate((rb, gb, bb))]
        shown = np.stack([c * 255 // ((1 << n) - 1) for c, n in zip(cut, (rb, gb, bb))], -1).astype(
            np.uint8
        )
        v = (cut[0] << (gb + bb) | cut[1] << bb | cut[2]).astype("<u2")
        pixels = b"".join(pad(r.tobytes()) for r in v[::-1])
        masks = (((1 << rb) - 1) << (gb + bb), ((1 << gb) - 1) << bb, (1 << bb) - 1)
        for header in (40, 56, 108, 124):
            add(
                f"bmp 16 bits {name} by bit fields, header of {header}",
                bmp(pixels, 16, header=header, compression=3, masks=masks),
                shown,
            )
        if name == "555":
            add("bmp 16 bits", bmp(pixels, 16), shown)
    ten = (wide[..., 0] << 22 | wide[..., 1] << 12 | wide[..., 2] << 2).astype("<u4")
    add(
        "bmp of 10 bits a colour",
        bmp(
            ten[::-1].tobytes(),
            32,
            header=108,
            compression=3,
            masks=(0x3FF << 20, 0x3FF << 10, 0x3FF),
        ),
        ((RGB.astype(int) << 2) * 255 // 1023).astype(np.uint8),
    )
    # Run lengths.
    table = np.random.default_rng(16).integers(0, 256, (16, 3)).astype(np.uint8)
    indices = np.clip(np.arange(W)[None, :] // 3 + np.arange(H)[:, None] // 2, 0, 15)
    indices[3, 2:11] = np.arange(9)

    def runs(bits, absolute=False, leave_out_end=False, step=False):
        out = b""
        for y, row in enumerate(indices[::-1]):
            x = 0
            while x < W:
                n = 1
                while x + n < W and row[x + n] == row[x]:
                    n += 1
                if absolute and x == 0:
                    n = 7
                    body = bytes(row[:n].tolist()) if bits == 8 else packed([row[:n]], 4)[0]
                    out += bytes([0, n]) + body + b"\0" * (len(body) % 2)
                else:
                    out += bytes([n, row[x] if bits == 8 else row[x] << 4 | row[x]])
                x += n
            out += b"\0\0" if y < H - 1 else (b"" if leave_out_end else b"\0\1")
        return out

    for bits, compression in ((8, 1), (4, 2)):
        palette = quads(table if bits == 4 else np.resize(table, (256, 3)))
        for header in (40, 64, 108, 124):
            add(
                f"bmp run lengths of {bits} bits, header of {header}",
                bmp(runs(bits), bits, header=header, compression=compression, palette=palette),
                table[indices],
            )
        add(
            f"bmp run lengths of {bits} bits, some as they are",
            bmp(runs(bits, absolute=True), bits, compression=compression, palette=palette),
            table[indices],
            mistaken=bits == 4,
        )
        add(
            f"bmp run lengths of {bits} bits, without an end",
            bmp(runs(bits, leave_out_end=True), bits, compression=compression, palette=palette),
            table[indices],
        )
        stepped = bytes([4, 0x11]) + b"\0\2\3\2" + bytes([5, 0x22 if bits == 4 else 2]) + b"\0\1"
        shown = np.zeros((H, W), int)
        shown[H - 1, :4], shown[H - 3, 7:12] = (1 if bits == 4 else 0x11), 2
        full = table if bits == 4 else np.resize(table, (256, 3))
        add(
            f"bmp run lengths of {bits} bits, with a step",
            bmp(stepped, bits, compression=compression, palette=palette),
            full[shown],
            mistaken=True,
        )
    # Refusals.
    add(
        "bmp with a PNG inside",
        bmp(saved(Image.fromarray(RGB), "PNG"), 0, compression=5),
        refused="a PNG file inside is not supported",
    )
    add(
        "bmp with a JPEG inside",
        bmp(saved(Image.fromarray(RGB), "JPEG"), 0, compression=4),
        refused="a JPEG file inside is not supported",
    )
    add(
        "bmp in Huffman codes",
        bmp(b"\0" * 40, 1, header=64, compression=3, palette=b"\0" * 8),
        refused="Huffman coding is not supported",
    )
    add("bmp of 64 bits", bmp(b"\0" * 8 * W * H, 64), refused="pixels of 64 bits are not supported")


# ---- PNG --------------------------------------------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, bits, colour, interlaced=False, before=(), after=()):
    samples = np.asarray(samples)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    passes = (
        [
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        ]
        if interlaced
        else [(0, 0, 1, 1)]
    )
    rows = b""
    for y, x, dy, dx in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            lines = [r.astype(">u2").tobytes() for r in part] if bits == 16 else packed(part, bits)
            rows += b"".join(b"\0" + line for line in lines)
    h, w = samples.shape[:2]
    out = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, int(interlaced))
    )
    return (
        out
        + b"".join(before)
        + chunk(b"IDAT", zlib.compress(rows))
        + b"".join(after)
        + chunk(b"IEND", b"")
    )


def exif_block(orientation, order="<", kind=3):
    mark = b"II" if order == "<" else b"MM"
    value = {
        1: lambda: bytes([orientation, 0, 0, 0]),
        3: lambda: struct.pack(order + "HH", orientation, 0),
        4: lambda: struct.pack(order + "I", orientation),
    }[kind]()
    return mark + struct.pack(order + "HIHHHI", 42, 8, 1, 0x112, kind, 1) + value + b"\0" * 4


def raw_profile(name, data):
    return (
        b"\n"
        + name
        + b"\n"
        + b"%8d\n" % len(data)
        + b"\n".join(data.hex().encode()[i : i + 72] for i in range(0, 2 * len(data), 72))
        + b"\n"
    )


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
XMP_ELEMENT = b"<x:xmpmeta><rdf:Description><tiff:Orientation>8</tiff:Orientation></rdf:Description></x:xmpmeta>"


def pngs():
    rgba, ga = np.dstack([RGB, ALPHA]), np.dstack([GREY, ALPHA])
    for interlaced in (False, True):
        tail = ", interlaced" if interlaced else ""
        for bits in (1, 2, 4, 8, 16):
            v = GREY.astype(int) * ((1 << bits) - 1) // 255
            add(f"png grey {bits} bits{tail}", png(v, bits, 0, interlaced))
            add(
                f"png grey {bits} bits with a transparent value{tail}",
                png(v, bits, 0, interlaced, [chunk(b"tRNS", struct.pack(">H", int(v[3, 5])))]),
                np.where(
                    v == v[3, 5], 255, (v * 255 // ((1 << bits) - 1)) if bits < 16 else v >> 8
                ).astype(np.uint8),
                mistaken=True,
            )
        for bits in (1, 2, 4, 8):
            n = 1 << bits
            table = np.random.default_rng(bits).integers(0, 256, (n, 3)).astype(np.uint8)
            indices = (np.arange(H * W).reshape(H, W) * 5) % n
            add(
                f"png palette {bits} bits{tail}",
                png(indices, bits, 3, interlaced, [chunk(b"PLTE", table.tobytes())]),
                table[indices],
            )
            add(
                f"png palette {bits} bits with alpha{tail}",
                png(
                    indices,
                    bits,
                    3,
                    interlaced,
                    [chunk(b"PLTE", table.tobytes()), chunk(b"tRNS", bytes([7, 200]))],
                ),
            )
        for bits in (8, 16):
            k = 1 if bits == 8 else 257
            deepen = lambda a: a.astype(np.uint16) * k
            add(f"png RGB {bits} bits{tail}", png(deepen(RGB), bits, 2, interlaced), RGB)
            add(
                f"png RGB {bits} bits with a transparent colour{tail}",
                png(
                    deepen(RGB),
                    bits,
                    2,
                    interlaced,
                    [chunk(b"tRNS", struct.pack(">HHH", 230 * k, 40 * k, 50 * k))],
                ),
                np.where((RGB == (230, 40, 50)).all(-1)[..., None], 255, RGB),
                mistaken=bits == 16,
            )
            add(f"png grey with alpha {bits} bits{tail}", png(deepen(ga), bits, 4, interlaced))
            add(f"png RGBA {bits} bits{tail}", png(deepen(rgba), bits, 6, interlaced))
    for (order, name), kind in itertools.product((("<", "little"), (">", "big")), (3, 4)):
        add(
            f"png eXIf, {name} endian, type {kind}",
            png(RGB, 8, 2, before=[chunk(b"eXIf", exif_block(6, order, kind))]),
        )
    add("png eXIf behind the pixels", png(RGB, 8, 2, after=[chunk(b"eXIf", exif_block(8))]))
    add(
        "png eXIf with JPEG's lead",
        png(RGB, 8, 2, before=[chunk(b"eXIf", b"Exif\0\0" + exif_block(3))]),
    )
    for name in (b"exif", b"APP1"):
        profile = raw_profile(b"exif", b"Exif\0\0" + exif_block(6))
        turned = np.rot90(RGB, -1)
        for kind, data in (
            ("tEXt", b"\0" + profile),
            ("zTXt", b"\0\0" + zlib.compress(profile)),
            ("iTXt", b"\0\1\0\0\0" + zlib.compress(profile)),
            ("iTXt plain", b"\0\0\0\0\0" + profile),
        ):
            add(
                f"png raw profile {name.decode()} in {kind}",
                png(
                    RGB, 8, 2, before=[chunk(kind[:4].encode(), b"Raw profile type " + name + data)]
                ),
                turned,
                mistaken=name == b"APP1",
            )
    add("png XMP", png(RGB, 8, 2, before=[chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]))
    add(
        "png XMP as an element",
        png(RGB, 8, 2, before=[chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_ELEMENT)]),
    )
    add(
        "png eXIf before XMP",
        png(
            RGB,
            8,
            2,
            before=[
                chunk(b"eXIf", exif_block(3)),
                chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            ],
        ),
    )
    im = Image.fromarray(RGB)
    add(
        "png animated",
        saved(im, "PNG", save_all=True, append_images=[Image.new("RGB", im.size, "red")]),
    )
    add(
        "png animated, first frame apart",
        saved(
            im,
            "PNG",
            save_all=True,
            default_image=True,
            append_images=[Image.new("RGB", im.size, "red")],
        ),
    )


# ---- GIF --------------------------------------------------------------------------------------------------------------


def gif_frame(
    indices, x=0, y=0, palette=None, transparent=None, interlaced=False, bits=7, disposal=0
):
    out = (
        b""
        if transparent is None and not disposal
        else b"!\xf9\x04"
        + struct.pack("<BHBB", disposal << 2 | (transparent is not None), 5, transparent or 0, 0)
    )
    flags = (0x80 | 6 if palette is not None else 0) | (0x40 if interlaced else 0)
    h, w = indices.shape
    out += (
        b","
        + struct.pack("<HHHHB", x, y, w, h, flags)
        + (b"" if palette is None else palette.tobytes())
    )
    if interlaced:
        indices = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]])
    flat = indices.astype(np.uint8).tobytes()
    codes = b"".join(b"\x80" + flat[i : i + 100] for i in range(0, len(flat), 100)) + b"\x81"
    return (
        out
        + b"\x07"
        + b"".join(
            bytes([len(codes[i : i + 255])]) + codes[i : i + 255] for i in range(0, len(codes), 255)
        )
        + b"\0"
    )


def gif(frames, palette=None, w=W, h=H, version=b"GIF89a", background=0, end=b";"):
    return (
        version
        + struct.pack("<HHBBB", w, h, 0 if palette is None else 0x80 | 6, background, 0)
        + (b"" if palette is None else palette.tobytes())
        + b"".join(frames)
        + end
    )


def gifs():
    rng = np.random.default_rng(7)
    table, own = (
        rng.integers(0, 256, (128, 3)).astype(np.uint8),
        rng.integers(0, 256, (128, 3)).astype(np.uint8),
    )
    indices = (np.arange(H * W).reshape(H, W) * 5) % 128
    ground = np.full((H, W, 3), 255, np.uint8)
    for version in (b"GIF87a", b"GIF89a"):
        add(
            f"gif {version.decode()}",
            gif([gif_frame(indices)], table, version=version),
            table[indices],
        )
    add("gif interlaced", gif([gif_frame(indices, interlaced=True)], table), table[indices])
    add(
        "gif with a palette of the frame",
        gif([gif_frame(indices, palette=own)], table),
        own[indices],
    )
    add(
        "gif with a palette of the frame alone",
        gif([gif_frame(indices, palette=own)]),
        own[indices],
    )
    add("gif without a palette", gif([gif_frame(indices)]), indices.astype(np.uint8))
    add(
        "gif with a transparent index",
        gif([gif_frame(indices, transparent=5)], table),
        np.where((indices == 5)[..., None], 255, table[indices]),
    )
    add("gif without a trailer", gif([gif_frame(indices)], table, end=b""), table[indices])
    add(
        "gif with a comment and an unknown extension",
        gif([b"!\xfe\x05hello\0", b"!\x42\x03abc\0", gif_frame(indices)], table),
        table[indices],
    )
    add(
        "gif with bytes between its blocks",
        gif([b"\0\0", gif_frame(indices)], table),
        table[indices],
    )
    for name, x, y, part in (
        ("within the canvas", 4, 3, (6, 9)),
        ("beyond the right", W - 5, 2, (6, 9)),
        ("beyond the bottom", 3, H - 4, (7, 8)),
        ("beyond both", W - 3, H - 2, (9, 9)),
        ("larger than the canvas", 0, 0, (H + 4, W + 6)),
        ("apart from the canvas", W + 2, 0, (4, 4)),
    ):
        piece = (np.arange(part[0] * part[1]).reshape(part) * 3) % 128
        shown = ground.copy()
        seen_part = table[piece][: max(0, H - y), : max(0, W - x)]
        shown[y : y + part[0], x : x + part[1]] = seen_part
        add(
            f"gif whose frame is {name}", gif([gif_frame(piece, x, y)], table), shown, mistaken=True
        )
    add("gif animated", gif([gif_frame(indices), gif_frame(127 - indices)], table), table[indices])


# ---- WebP -------------------------------------------------------------------------------------------------------------


def riff(*chunks):
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def parts(data):
    at, found = 12, []
    while at < len(data):
        kind, n = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        found.append((kind, data[at + 8 : at + 8 + n]))
        at += 8 + n + n % 2
    return found


def webps():
    u24 = lambda v: struct.pack("<I", v)[:3]
    im, rgba = Image.fromarray(RGB), Image.fromarray(np.dstack([RGB, ALPHA]))
    for w, h in (
        (21, 13),
        (22, 13),
        (21, 14),
        (22, 14),
        (1, 1),
        (2, 2),
        (1, 7),
        (7, 1),
        (16, 16),
        (17, 33),
        (40, 50),
    ):
        for quality in (20, 90):
            add(
                f"webp lossy {w} x {h}, quality {quality}",
                saved(Image.fromarray(drawing(w, h)), "WEBP", quality=quality),
            )
    for quality, method in itertools.product((0, 50, 100), (0, 4, 6)):
        noise = Image.fromarray(
            np.random.default_rng(method).integers(0, 256, (33, 31, 3)).astype(np.uint8)
        )
        add(
            f"webp lossy noise, quality {quality}, method {method}",
            saved(noise, "WEBP", quality=quality, method=method),
        )
        add(
            f"webp lossless noise, quality {quality}, method {method}",
            saved(noise, "WEBP", lossless=True, quality=quality, method=method),
        )
        add(
            f"webp lossless, quality {quality}, method {method}",
            saved(im, "WEBP", lossless=True, quality=quality, method=method),
        )
        add(
            f"webp lossless with alpha, quality {quality}, method {method}",
            saved(rgba, "WEBP", lossless=True, quality=quality, method=method),
        )
        add(
            f"webp lossy with alpha, quality {quality}, method {method}",
            saved(rgba, "WEBP", quality=quality, method=method),
        )
        add(
            f"webp lossy with rough alpha, quality {quality}, method {method}",
            saved(rgba, "WEBP", quality=quality, method=method, alpha_quality=30),
        )
    add("webp lossless of few colours", saved(im.quantize(7).convert("RGB"), "WEBP", lossless=True))
    add(
        "webp lossless of two colours",
        saved(Image.fromarray(BITS * 255).convert("RGB"), "WEBP", lossless=True),
    )
    add("webp lossless grey", saved(Image.fromarray(GREY).convert("RGB"), "WEBP", lossless=True))
    for lossless in (True, False):
        what = "lossless" if lossless else "lossy"
        red = Image.new("RGBA", im.size, "red")
        for first, alpha in ((im, ""), (rgba, " with alpha")):
            add(
                f"webp animated {what}{alpha}",
                saved(first, "WEBP", save_all=True, append_images=[red], lossless=lossless),
            )
        add(
            f"webp animated {what}, keyframes of both kinds",
            saved(
                im, "WEBP", save_all=True, append_images=[red], allow_mixed=True, lossless=lossless
            ),
        )
        small = parts(saved(Image.fromarray(drawing(10, 6)), "WEBP", lossless=lossless))
        frame = (
            u24(2)
            + u24(1)
            + u24(9)
            + u24(5)
            + u24(100)
            + b"\0"
            + b"".join(k + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for k, d in small)
        )
        shown = np.full((H, W, 3), 255, np.uint8)
        piece = np.asarray(Image.open(io.BytesIO(riff(*small))).convert("RGB"))
        shown[2:8, 4:14] = piece
        add(
            f"webp animated {what}, a frame within its canvas",
            riff(
                (b"VP8X", b"\x12\0\0\0" + u24(W - 1) + u24(H - 1)),
                (b"ANIM", b"\0" * 6),
                (b"ANMF", frame),
                (b"ANMF", frame),
            ),
            shown,
            mistaken=False,
        )
    still = parts(saved(im, "WEBP", lossless=True))
    flags = lambda v: b"%c\0\0\0" % v + u24(W - 1) + u24(H - 1)
    for lead, order, kind in itertools.product(
        (b"", b"Exif\0\0", b"Exif\0\0Exif\0\0"), "<>", (3, 4)
    ):
        add(
            f"webp EXIF behind {len(lead)} bytes, order {order}, type {kind}",
            riff((b"VP8X", flags(8)), *still, (b"EXIF", lead + exif_block(6, order, kind))),
        )
    add("webp XMP", riff((b"VP8X", flags(4)), *still, (b"XMP ", XMP)))
    add("webp XMP as an element", riff((b"VP8X", flags(4)), *still, (b"XMP ", XMP_ELEMENT)))
    add(
        "webp EXIF before its pixels",
        riff((b"VP8X", flags(8)), (b"EXIF", exif_block(8)), *still),
        np.rot90(RGB, 1),
        mistaken=True,
    )
    add(
        "webp with a profile and unknown chunks",
        riff((b"VP8X", flags(0x20)), (b"ICCP", b"abc"), (b"abcd", b"x"), *still, (b"efgh", b"yy")),
        RGB,
        mistaken=True,
    )
    add("webp with bytes behind it", saved(im, "WEBP", lossless=True) + b"behind", RGB)


# ---- JPEG -------------------------------------------------------------------------------------------------------------


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(data)) + data


def jpegs():
    im = Image.fromarray(RGB)
    base = saved(im, "JPEG", quality=90, subsampling=0)
    for order, kind, o in itertools.product("<>", (3, 4), (3, 6)):
        add(
            f"jpeg EXIF, order {order}, type {kind}, orientation {o}",
            base[:2] + segment(0xE1, b"Exif\0\0" + exif_block(o, order, kind)) + base[2:],
            tolerance=1,
        )
    adobe = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    add("jpeg XMP", base[:2] + adobe + base[2:], tolerance=1)
    add(
        "jpeg XMP before EXIF",
        base[:2] + adobe + segment(0xE1, b"Exif\0\0" + exif_block(3)) + base[2:],
        tolerance=1,
    )
    add(
        "jpeg EXIF behind JFIF",
        base[:20] + segment(0xE1, b"Exif\0\0" + exif_block(8)) + base[20:],
        tolerance=1,
    )
    add(
        "jpeg EXIF with a twofold lead",
        base[:2] + segment(0xE1, b"Exif\0\0Exif\0\0" + exif_block(6)) + base[2:],
        tolerance=1,
    )
    add(
        "jpeg orientation 9",
        base[:2] + segment(0xE1, b"Exif\0\0" + exif_block(9)) + base[2:],
        tolerance=1,
    )
    add("jpeg RGB without conversion", saved(im, "JPEG", quality=95, keep_rgb=True), tolerance=1)
    for mode in ("L", "CMYK"):
        for progressive in (False, True):
            add(
                f"jpeg {mode}, progressive {progressive}",
                saved(im.convert(mode), "JPEG", quality=95, progressive=progressive),
                tolerance=3,
            )


if __name__ == "__main__":
    for make in (tiffs, bmps, pngs, gifs, webps, jpegs):
        before = len(cases)
        make()
        print(make.__name__, len(cases) - before)
    made_with = {
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        **{n: features.version(n) for n in ("libtiff", "webp", "jpg", "libjpeg_turbo")},
    }
    text = json.dumps({"made_with": made_with, "pictures": pictures, "cases": cases}, indent=0)
    OUT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(len(cases), "files,", len(pictures), "pictures,", OUT.stat().st_size, "bytes")
