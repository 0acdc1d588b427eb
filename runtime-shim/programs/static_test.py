#!/usr/bin/env python3
"""Programs that an engine starts for each container are static: no loader, no library to find, no symbol to bind.

    static_test.py PROGRAM...
"""
import os
import struct
import subprocess
import sys
import unittest

PROGRAMS = []
PT_DYNAMIC, PT_INTERP = 2, 3
MAX_BYTES = 4 << 20  # without line tables: what is read and mapped at each start
FORBIDDEN = [b"grpc_init", b"spdlog", b"google::protobuf", b"prometheus"]


def segments(program):
    """Types of the program headers (elf(5)), and how many bytes of the file they load."""
    with open(program, "rb") as file:
        image = file.read()
    assert image[:5] == b"\x7fELF\x02", f"{program} is no 64-bit ELF file"
    offset, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    headers = [struct.unpack_from("<IIQQQQ", image, offset + i * size) for i in range(count)]
    return {h[0] for h in headers}, sum(h[5] for h in headers if h[0] == 1), image


class Static(unittest.TestCase):
    def test_has_neither_loader_nor_dynamic_section(self):
        for program in PROGRAMS:
            with self.subTest(program=os.path.basename(program)):
                kinds, _, _ = segments(program)
                self.assertNotIn(PT_INTERP, kinds)
                self.assertNotIn(PT_DYNAMIC, kinds)

    def test_is_small_and_has_nothing_of_the_agents_libraries(self):
        for program in PROGRAMS:
            with self.subTest(program=os.path.basename(program)):
                _, loaded, image = segments(program)
                self.assertLess(loaded, MAX_BYTES)
                for word in FORBIDDEN:
                    self.assertNotIn(word, image)

    def test_the_check_would_notice_a_dynamic_program(self):
        kinds, _, _ = segments(os.path.realpath(sys.executable))
        self.assertIn(PT_DYNAMIC, kinds)


if __name__ == "__main__":
    PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:]]
    if not PROGRAMS:
        sys.exit(__doc__)
    unittest.main(argv=sys.argv[:1])
