"""Tests of the description by which a Genode build gets the table, with make and gcc

The build system around it is a makefile with the few names that it uses.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

DESCRIPTION = Path(__file__).resolve().parents[1] / 'common/files/repos/base-foc/lib/mk/cap_map.inc'
BUILD_SYSTEM = f"""\
SHELL := bash
SPECS ?= x86_64
REP_DIR := base-foc
REPOSITORIES ?= base-foc project/genode/26.02
BUILD_BASE_DIR := $(CURDIR)/build
select_from_repositories = $(firstword $(foreach REP,$(REPOSITORIES),$(wildcard $(REP)/$(1))))
ECHO := echo
MSG_MERGE = @$(ECHO) "MERGE "
VERBOSE := @
LD := ld
NM := nm
all: cap_map.o
include {DESCRIPTION}
"""
# What cargo would make of the sources: TARGET and OUTPUT_DIR are its arguments
ARCHIVE = """\
#!/usr/bin/env bash
mkdir -p "$2" && gcc -c -ffreestanding -o table.o -x c ../project/ffi/src/table.rs &&
	ar rcs "$2/libcap_map.a" table.o && echo made "$1" >> made
"""
TABLE = 'void cap_map_relax(void); void cap_map_abi_2(void) { cap_map_relax(); }\n'


class Description(unittest.TestCase):

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name).resolve()
        for folder in ('project/genode/26.02', 'project/tools', 'project/ffi/src', 'base-foc', 'bin',
                       'work'):
            (self.top / folder).mkdir(parents=True)
        for name in ('base-foc', 'project'):
            (self.top / 'work' / name).symlink_to(self.top / name)
        (self.top / 'work/Makefile').write_text(BUILD_SYSTEM)
        self.script(self.top / 'project/tools/archive', ARCHIVE)
        self.script(self.top / 'bin/cargo', '#!/bin/true\n')
        self.table = self.top / 'project/ffi/src/table.rs'
        self.table.write_text(TABLE)
        self.made = self.top / 'work/made'

    def script(self, file, text):
        file.write_text(text)
        file.chmod(0o755)

    def make(self, *variables, path='bin:'):
        done = subprocess.run(['make', *variables], cwd=self.top / 'work', capture_output=True,
                              text=True, check=False,
                              env={'PATH': f'{self.top}/{path}' + '/usr/bin:/bin'})
        return done.returncode, done.stdout + done.stderr

    def fails(self, message, *variables, **more):
        status, output = self.make(*variables, **more)
        self.assertEqual(status, 2, output)
        self.assertIn(message, output)
        self.assertFalse((self.top / 'work/cap_map.o').exists())

    def succeeds(self, *variables):
        status, output = self.make(*variables)
        self.assertEqual(status, 0, output)
        self.assertTrue((self.top / 'work/cap_map.o').exists())

    def test_sources(self):
        """They are found by the REPOSITORIES line, and an edit counts."""
        self.succeeds()
        self.succeeds()
        self.assertEqual(self.made.read_text(), 'made x86_64-unknown-linux-gnu\n')
        later = self.made.stat().st_mtime + 5
        os.utime(self.table, (later, later))
        self.succeeds()
        self.assertEqual(self.made.read_text(), 'made x86_64-unknown-linux-gnu\n' * 2)

    def test_sources_of_a_depot_archive(self):
        self.fails('sources of the flat capability table are missing', 'REPOSITORIES=base-foc')
        self.fails('takes cargo', path='')
        depot = self.top / 'base-foc/src/cap_map/tools'
        depot.mkdir(parents=True)
        self.script(depot / 'archive', ARCHIVE)
        self.succeeds('REPOSITORIES=base-foc')

    def test_archive(self):
        self.fails('is missing', f'CAP_MAP_ARCHIVE_DIR={self.top}/archives')
        self.fails('is missing', 'SPECS=arm_v6')
        self.succeeds()
        (self.top / 'work/cap_map.o').unlink()
        (self.top / 'work/build/var/cap_map').rename(self.top / 'archives')
        self.made.unlink()
        self.succeeds(f'CAP_MAP_ARCHIVE_DIR={self.top}/archives')
        self.assertFalse(self.made.exists())

    def test_what_an_archive_must_not_contain(self):
        for text, message in ((TABLE + 'void f(void); void g(void) { f(); }', 'unresolved symbols: f'),
                              (TABLE + 'void rust_panic(void) { }', 'code for panics'),
                              (TABLE.replace('abi_2', 'abi_1'), 'does not fit the headers')):
            self.table.write_text(text)
            self.fails(message)

