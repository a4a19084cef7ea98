"""Content for transfers: files, trees, and their comparison."""

import base64
import filecmp
import hashlib
import os
import shutil
import struct
import subprocess

from harness import MIB, require

AWKWARD_KEYS = [
    "a b  c", "plus+plus", "per%cent%20%2F", "q?x=1&y#z", "ünïcode/日本語/🙂", "double//slash",
    "star*'()!~", "semi;colon:@$,=", "back\\slash", "quote\"quote<&>", ".hidden/..dots",
    "/".join(c * 200 for c in "klmno") + "/" + "p" * 19,
]
assert len(AWKWARD_KEYS[-1]) == 1024


def make_file(path, size, seed=b"argosy"):
    """`size` bytes that look random, the same for the same seed and path's name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if size < 16 * MIB:
        key = hashlib.sha256(seed + os.path.basename(path).encode()).digest()
        with open(path, "wb") as file:
            file.write(hashlib.shake_128(key).digest(size))
        return path
    name = hashlib.sha256(seed + os.path.basename(path).encode()).hexdigest()
    with open(path, "wb") as file:
        cipher = subprocess.Popen(["openssl", "enc", "-aes-128-ctr", "-nosalt", "-K", name[:32],
                                   "-iv", name[32:]], stdin=subprocess.PIPE, stdout=file)
        zeros = bytes(MIB)
        for _ in range(size // MIB):
            cipher.stdin.write(zeros)
        cipher.stdin.write(bytes(size % MIB))
        cipher.stdin.close()
        require(cipher.wait() == 0, "openssl enc failed")
    return path


def same(a, b):
    require(os.path.isfile(b), f"{b} is not there")
    done = subprocess.run(["cmp", "--", a, b], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    require(done.returncode == 0, f"contents differ: {done.stdout.decode()}")


def regular_files(folder, follow):
    """Relative path → absolute path of what a copy of `folder` must hold."""
    found = {}
    for here, folders, files in os.walk(folder, followlinks=follow):
        if not follow:
            folders[:] = [f for f in folders if not os.path.islink(os.path.join(here, f))]
        for name in files:
            path = os.path.join(here, name)
            if os.path.isfile(path) and (follow or not os.path.islink(path)):
                found[os.path.relpath(path, folder)] = path
    return found


def same_trees(source, target, follow=False):
    """How many files; all of them equal, and no others."""
    want, have = regular_files(source, follow), regular_files(target, False)
    require(set(want) == set(have), f"missing: {sorted(set(want) - set(have))[:5]}, "
            f"too many: {sorted(set(have) - set(want))[:5]}")
    for name, path in want.items():
        require(filecmp.cmp(path, have[name], shallow=False), f"{name}: contents differ")
    return len(want)


def take_tree(target, sources, most):
    """Copies `most` files of real folders to `target`, links kept as links."""
    count = 0
    for source in sources:
        for here, folders, files in os.walk(source):
            folders.sort()
            for name in sorted(files):
                if count >= most:
                    return target
                path = os.path.join(here, name)
                to = os.path.join(target, os.path.relpath(path, "/"))
                if os.path.lexists(to) or not os.path.exists(path):
                    continue  # taken from an earlier source, or a link to nowhere
                if os.path.getsize(path) > 4 * MIB:
                    continue
                if os.path.lexists(to):  # sources may overlap
                    continue
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(path, to, follow_symlinks=False)
                count += not os.path.islink(path)
    return target


def md5_etag(path, part_bytes=None):
    """What S3 calls the ETag of content that came whole, or in parts of that size."""
    sums = []
    with open(path, "rb") as file:
        while True:
            data = file.read(part_bytes or -1)
            if not data and sums:
                break
            sums.append(hashlib.md5(data).digest())
            if part_bytes is None:
                return f'"{sums[0].hex()}"'
    return f'"{hashlib.md5(b"".join(sums)).hexdigest()}-{len(sums)}"'


def crc32c(data):
    """Base64 of the CRC32C, bit by bit from a table: a reference that shares nothing with ours."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 255]
    return base64.b64encode(struct.pack(">I", crc ^ 0xFFFFFFFF)).decode()
