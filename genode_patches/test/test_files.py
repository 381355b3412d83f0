"""`rehash` and `verify`"""

import contextlib
import io
import re
import subprocess

from support import TOOLS, Series, numbered
from series import Refused, Repository


class Files(Series):
    """A series whose files were edited"""

    def faults(self, *genode):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                TOOLS['verify'].verify(self.series.parent, self.scratch / 'project',
                                       *map(Repository, genode))
        except Refused as reason:
            return str(reason)
        return ''

    def prepare(self):
        target = super().prepare()
        (self.scratch / 'project').mkdir()
        self.assertEqual(self.faults(), '')
        return target

    def test_rehash(self):
        target = self.prepare()
        self.our.write_bytes(b'edited\n')
        self.assertIn('another hash', self.faults())
        with contextlib.redirect_stdout(io.StringIO()):
            TOOLS['rehash'].rehash(self.series.parent)
        self.assertEqual(self.faults(), '')
        self.apply(target)
        self.assertEqual((target / 'our.h').read_bytes(), b'edited\n')

    def test_text_of_a_new_file_in_a_patch(self):
        self.prepare()
        self.change(self.first, b'-- \n', b'--- /dev/null\n+++ b/our.h\n@@ -0,0 +1 @@\n+our\n-- \n')
        self.assertIn('diff --git', self.faults())

    def test_quoted_line(self):
        self.prepare()
        self.change(self.second, b'+new line 8\n', b'-old line 8\n+new line 8\n')
        self.assertIn("with '+'", self.faults())

    def test_quotation(self):
        """Added lines that the edited file has, or a deleted one, with other white space"""
        base = {'a.cc': b'int old() { return one; }\n\tfirst(a);\n\tsecond(a, b);\n\n\tthird();\n'
                        b'#include <one/two/three/four.h>\n', 'gone.cc': b'\tif (gone(a)) free(b);\n'}
        for number, (text, quoted) in enumerate((
                (b'\t\tint  old() {\treturn one; }\n', 'int old() { return one; }'),
                (b'\t\tfirst(a);\n\t\tsecond(a, b);\n', 'first(a);\nsecond(a, b);'),
                (b'if (gone(a)) free(b);\n', 'if (gone(a)) free(b);'),
                (b'first(a);\n\nsecond(a, b);\n', ''), (b'second(a, b);\nfirst(a);\n', ''),
                (b'second(a, b);\nthird();\n', ''), (b'int old() { return two; }\n', ''),
                (b'#include  <one/two/three/four.h>\n', ''))):
            for path in ('a.cc', 'our.cc'):
                with self.subTest(text=text, path=path):
                    self.setUp()
                    (self.scratch / 'project').mkdir()
                    result = {'a.cc': base['a.cc'] + b'end\n'}
                    result[path] = result.get(path, b'') + text
                    source, _ = self.elided(base, result)
                    foreign = path == 'our.cc' and number != 2
                    self.assertIn('' if foreign else quoted, self.faults())
                    self.assertEqual(bool(self.faults()), bool(quoted) and not foreign)

    def test_fingerprints(self):
        self.prepare()
        self.assertEqual(self.faults(self.source), '')
        prints = self.series / 'fingerprints'
        text = prints.read_text()
        prints.write_text(text.replace('a.cc', 'c.cc'))
        self.assertIn('a.cc has no fingerprints', self.faults())
        self.assertIn('not those of Genode', self.faults(self.source))
        prints.unlink()
        self.assertIn('made by genode_patches/elide', self.faults())

    def test_plain_files(self):
        self.prepare()
        (self.series / 'files/stray.cc').touch()
        self.assertIn('stray.cc: no patch names it', self.faults())
        (self.series / 'files/stray.cc').unlink()
        self.our.unlink()
        self.assertIn('our.h: no such file', self.faults())

    def test_file_that_arrives_twice(self):
        self.prepare()
        arrival = re.search(rb'diff --git a/our.h .*\nnew file .*\nindex .*\n', self.first.read_bytes())
        self.change(self.second, b'-- \n', arrival[0] + b'-- \n')
        self.assertIn('arrives twice', self.faults())

    def test_patch_of_a_kernel(self):
        head = b'Subject: x\n\nwhy\n---\ndiff --git a/k.S b/k.S\n--- a/k.S\n+++ b/k.S\n'
        hunk = b'@@ -4,0 +5,2 @@\n+one\n+two\n'
        path = 'patches/0001-x.patch'
        _, target = self.elided({'a': b'old\n'}, {'a': b'old\n', path: head + 2*hunk})
        (self.scratch / 'project').mkdir()
        self.assertEqual(self.faults(), '')
        kernel = self.scratch / 'k.S'
        kernel.write_bytes(numbered('kernel', 9))
        self.apply(target)
        subprocess.run(['patch', '-s', '-p1', '-d', self.scratch], check=True,
                       input=(target / path).read_bytes())
        self.assertEqual(kernel.read_bytes().count(b'two\n'), 2)
        for wrong in (hunk + b' context\n', hunk.replace(b'4,0', b'4') + b'-old\n', b'',
                      hunk.replace(b'@@\n', b'@@ function()\n')):
            (self.series / 'files' / path).write_bytes(head + wrong)
            with contextlib.redirect_stdout(io.StringIO()):
                TOOLS['rehash'].rehash(self.series.parent)
            self.assertIn('not only insertions', self.faults())

    def test_included_headers(self):
        self.prepare()
        self.change(self.our, b'our', b'#include <stddef.h>\n#include <size.h>')
        with contextlib.redirect_stdout(io.StringIO()):
            TOOLS['rehash'].rehash(self.series.parent)
        self.assertEqual(self.faults(), '')
        header = self.scratch / 'include/our.h'
        header.parent.mkdir()
        self.our.rename(header)
        self.our.symlink_to(header)
        (header.parent / 'size.h').touch()
        self.assertIn('includes size.h', self.faults())

    def test_headers(self):
        self.prepare()
        header = '/* one */\n' + ''.join(f'int x{number};\n' for number in range(20))
        for folder in ('a', 'b', 'target'):
            (self.scratch / 'project' / folder).mkdir()
        one, other = (self.scratch / 'project' / folder / 'x.h' for folder in 'ab')
        one.write_text(header)
        (self.scratch / 'project/target/x.h').write_text(header)
        other.symlink_to(one)
        self.assertEqual(self.faults(), '')
        other.unlink()
        other.write_text(header.replace('one', 'two').replace('x7', 'y7'))
        self.assertIn('exists twice', self.faults())
        other.write_text('int y;\n' * 20)
        self.assertEqual(self.faults(), '')
        (self.scratch / 'project/b/y.hpp').write_text(header.replace('one', 'two'))
        self.assertIn('exists twice', self.faults())
