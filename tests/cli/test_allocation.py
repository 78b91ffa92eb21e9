import subprocess
import sys

PAGES_OF_TEN_BLOCKS = """
import ctypes, resource
from relmask.cli.allocation import keep_freed_memory

libc, size = ctypes.CDLL(None), 2**26
libc.malloc.restype = ctypes.c_void_p

def fill():
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
    ctypes.memset(block, 1, size)
    libc.free(block)

keep_freed_memory()
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_freed_block_is_filled_again_without_new_pages() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PAGES_OF_TEN_BLOCKS], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 100
