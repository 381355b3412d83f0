"""What the tools refuse, and what they leave alone then"""

import os
import subprocess

from support import AUTHOR, EXECUTABLE, FILE, HERE, Repositories, Series
from series import Refused, blob_hash, read_patch


class Refusals(Series):
    """What `apply` refuses, and that nothing has changed then"""

    def test_other_content(self):
        target = self.prepare()
        self.commit(target, 'dir/b.cc', b'local\n')
        self.assert_refused(target, self.second.name, 'b.cc', blob_hash(self.TEN),
                            blob_hash(b'local\n'), '--onto HEAD')

    def test_other_mode(self):
        target = self.prepare()
        (target / 'dir/b.cc').chmod(0o755)
        self.git(target, 'commit', '-qam', 'local')
        self.assert_refused(target, self.second.name, 'expected', FILE, 'found', EXECUTABLE)

    def test_missing_file(self):
        target = self.prepare()
        self.git(target, 'rm', '-q', 'dir/b.cc')
        self.git(target, 'commit', '-qam', 'local')
        self.assert_refused(target, self.second.name, 'b.cc', 'no such file')

    def test_applied_already(self):
        target = self.prepare()
        self.apply(target)
        self.assert_refused(target, self.first.name, 'applied already')

    def test_work_tree_with_changes(self):
        target = self.prepare()
        (target / 'a.cc').write_bytes(b'edited\n')
        for _ in range(2):
            self.assert_refused(target, 'not committed', 'a.cc')
            self.assert_refused(target, 'not committed', 'a.cc', options=('--onto', 'HEAD'))
            self.git(target, 'add', '.')

    def test_untracked_file_in_the_way(self):
        for path, obstacle in (('new', 'new'), ('new/file', 'new'), ('new', 'new/file')):
            for ignored in ('', '*\n'):
                with self.subTest(path=path, obstacle=obstacle, ignored=ignored):
                    self.setUp()
                    _, target = self.elided({'a': b'old\n'}, {'a': b'old\n', path: b'added\n'})
                    (target / '.git/info').mkdir()
                    (target / '.git/info/exclude').write_text(ignored)
                    (target / obstacle).parent.mkdir(exist_ok=True)
                    (target / obstacle).write_bytes(b'precious\n')
                    self.assert_refused(target, path, 'in the way')
                    self.assert_refused(target, path, 'in the way', options=('--onto', 'HEAD'))

    def test_other_base(self):
        self.prepare()
        other = self.repository('other', self.TREES[:1], ['other\n'])
        self.assert_refused(other, 'does not descend', '26.02', '--onto HEAD')
        self.assert_refused(other, 'lacks the base', options=('--onto', 'HEAD'))

    def test_tag_of_another_commit(self):
        target = self.prepare()
        self.commit(target, 'more', b'')
        self.git(target, 'tag', '-f', '26.02')
        self.assert_refused(target, 'tag 26.02', 'expected commit', 'found')
        self.git(target, 'tag', '-d', '26.02')
        self.apply(target)

    def test_truncated(self):
        target = self.prepare()
        text = self.second.read_bytes()
        for end in range(len(text)):
            self.second.write_bytes(text[:end])
            with self.assertRaises(Refused):
                read_patch(self.second)
        self.second.write_bytes(text[:text.index(b'+new line 8')])
        self.assert_refused(target, self.second.name, 'truncated')

    def test_altered_patches(self):
        target = self.prepare()
        text = self.second.read_bytes()
        first, second = b'@@ -3 +3 @@\n+new line 3\n', b'@@ -8 +8 @@\n+new line 8\n'
        new = blob_hash(self.NEW).encode()
        for old, other, word in (
                (b'+new line 8', b'+New line 8', blob_hash(self.NEW)), (new, b'1' * 40, '1' * 40),
                (b'+new line 8', b'-old line 8\n+new line 8', "with '+'"),
                (b'+new line 8\n', b'+new line 8\n old line 9\n', 'diff --git'),
                (b'+8 @@', b'+8 @@ old line 2', 'nothing behind it'),
                (second, first, 'git apply'),
                (second, b'@@ -11 +11 @@\n+new line 8\n', 'beyond the end'),
                (second, b'@@ -8,9 +8 @@\n+new line 8\n', 'beyond the end'),
                (b'+3 @@', b'+3,2 @@', 'one of 2 lines'), (b'+3 @@', b'+3,0 @@', 'diff --git'),
                (b'elided patch', b'elided patch\n', 'something follows'),
                (b' 100644', b'', 'expected'), (b'100644', b'040000', 'index line'),
                (b'Subject', b'Topic', 'subject'), (b'--- a/', b'--- b/', 'diff --git'),
                (b'\n+new line 3', b'\n+new line 3\n\\ No newline at end of file', '')):
            with self.subTest(other=other):
                self.second.write_bytes(text)
                self.change(self.second, old, other)
                self.assert_refused(target, self.second.name, word)

    def test_paths_outside_the_tree(self):
        target = self.prepare()
        text = self.first.read_bytes()
        for path in (b'../x', b'a/../../x', b'/tmp/x', b'.git/config', b'a/.GIT/x', b'.', b'a//b',
                     b'./x', b'a.cc/x'):
            with self.subTest(path=path):
                place = self.series / 'files' / os.fsdecode(path)
                if path not in (b'/tmp/x', b'.'):
                    (self.series / 'files/a').mkdir(exist_ok=True)
                    place.parent.mkdir(exist_ok=True)
                    place.write_bytes(b'our\n')
                self.first.write_bytes(text.replace(b'a/our.h b/our.h',
                                                    b'a/' + path + b' b/' + path))
                self.assert_refused(target, self.first.name)

    def test_files_of_ours(self):
        target = self.prepare()
        self.our.write_bytes(b'edited\n')
        self.assert_refused(target, self.first.name, 'our.h', blob_hash(b'our\n'),
                            blob_hash(b'edited\n'), 'rehash')
        self.our.unlink()
        self.assert_refused(target, self.first.name, 'our.h', 'no such file')
        common = self.series.parent / 'common/files/our.h'
        common.parent.mkdir(parents=True)
        common.write_bytes(b'our\n')
        self.our.write_bytes(b'our\n')
        self.assert_refused(target, self.first.name, 'our.h', 'in common')
        self.our.unlink()
        self.apply(target)

    def test_series(self):
        target = self.prepare()
        series = self.series / 'series'
        text = series.read_bytes()
        for change, word in ((lambda: series.write_bytes(text + b'../x.patch\n'), 'names of'),
                             (lambda: series.write_bytes(text + b'missing.patch\n'), 'missing'),
                             (lambda: series.write_bytes(b'# empty\n'), 'base-commit'),
                             (series.unlink, 'cannot read the series')):
            change()
            self.assert_refused(target, word)

    def test_locks_of_another_git(self):
        """The last steps fail: what they did before must be taken back."""
        for lock in ('index.lock', 'refs/heads/main.lock', 'HEAD.lock'):
            with self.subTest(lock=lock):
                self.setUp()
                target = self.prepare()
                (target / '.git' / lock).touch()
                self.assert_refused(target, 'lock')

    def test_commands(self):
        target = self.prepare()
        for expected, tool, *arguments in (
                (2, 'apply'), (2, 'apply', target, '--bogus'), (2, 'elide', target),
                (2, 'elide', target, 'HEAD', '--output', 'x'),
                (2, 'elide', target, 'a...b', '--output', 'x'),
                (1, 'apply', self.scratch, '--series', self.series),
                (0, 'apply', target, '--series', self.series),
                (1, 'apply', target, '--series', self.series)):
            done = subprocess.run([HERE / tool, *arguments], capture_output=True, env=self.env,
                                  check=False)
            self.assertEqual(done.returncode, expected, done.stderr)
            self.assertNotIn(b'Traceback', done.stderr)


class Onto(Series):
    """A Genode that is newer than the series"""

    def test_other_lines(self):
        target = self.prepare()
        self.commit(target, 'a.cc', b'newer\n' + self.TEN)
        newer = self.git(target, 'rev-parse', 'HEAD').decode().strip()
        self.assert_refused(target, 'apply --series series --onto HEAD')
        self.apply(target, '--onto', 'HEAD')
        self.assertEqual((target / 'a.cc').read_bytes(), b'newer\n' + self.NEW)
        self.assertEqual(self.git(target, 'symbolic-ref', 'HEAD'), b'refs/heads/main\n')
        self.git(target, 'reset', '-q', '--hard', '26.02')
        self.apply(target, '--onto', newer)     # the branch goes there first
        self.assertEqual(self.commits(target, '%an %s'),
                         f'x change a.cc\0\n{AUTHOR} test: commit 1\0\n'
                         f'{AUTHOR} test: commit 2\0\n'.encode())
        self.git(target, 'checkout', '-q', '-b', 'other', '26.02')
        self.commit(target, 'mine', b'')
        self.assert_refused(target, 'check out', options=('--onto', newer))

    def test_untracked_file_where_the_newer_has_one(self):
        target = self.prepare()
        self.commit(target, 'fresh', b'')
        newer = self.git(target, 'rev-parse', 'HEAD').decode().strip()
        self.git(target, 'reset', '-q', '--hard', '26.02')
        (target / '.git/info').mkdir()
        (target / '.git/info/exclude').write_text('*\n')
        (target / 'fresh').write_bytes(b'precious\n')
        self.assert_refused(target, 'fresh', 'in the way', options=('--onto', newer))

    def test_conflict(self):
        target = self.prepare()
        self.commit(target, 'dir/b.cc', self.TEN.replace(b'old line 8', b'newer line 8'))
        before = self.fingerprint(target)[0]
        for after in ('--abort', '--continue'):
            status, _, errors = self.tool('apply', target, '--series', self.series, '--onto', 'HEAD')
            self.assertEqual(status, 1)
            for word in (self.second.name, 'dir/b.cc', '--continue', '--abort'):
                self.assertIn(word, errors)
            if after == '--continue':
                (target / 'dir/b.cc').write_bytes(self.NEW)
                self.git(target, 'add', '.')
            self.git(target, '-c', 'core.editor=true', 'cherry-pick', after)
            if after == '--abort':
                files = self.fingerprint(target)[0]
                self.assertEqual({path: entry for path, entry in files.items()
                                  if '/.git/' not in path},
                                 {path: entry for path, entry in before.items()
                                  if '/.git/' not in path})
                self.assertEqual(self.commits(target, '%s'), b'change dir/b.cc\0\n')
        self.assertEqual((target / 'dir/b.cc').read_bytes(), self.NEW)
        self.assertIn(b'test: commit 2', self.commits(target, '%s'))


class ElideRefusals(Repositories):
    """What cannot be expressed is refused, and nothing is written"""

    def refused(self, source, *words, revisions='26.02..HEAD'):
        status, _, errors = self.tool('elide', source, revisions, '--output', self.series)
        self.assertEqual(status, 1, errors)
        for word in words:
            self.assertIn(word, errors)
        self.assertFalse(self.series.exists())

    def check(self, tree, *words, **more):
        self.setUp()
        self.refused(self.repository('source', [{'a': b'old\n'}, tree], **more), *words)

    def test_trees(self):
        self.check({'a': b'old\n', 'data.bin': b'x\0y'}, 'data.bin', 'binary')
        self.check({'a': b'x\0y'}, 'commit')
        for name in ('a"b', 'a\\b', 'a\nb', 'a\tb'):
            self.check({name: b'new\n'}, 'diff --git')
        self.check({'a': b'new\n'}, 'two full hashes', form='sha256')

    def test_messages(self):
        self.check({'a': b'new\n'}, 'not UTF-8', messages=['x\n', b'caf\xe9\n'])
        for message in ('\n', 'x\n\n---\nbody\n', 'x\n\nFrom: other\n', '[PATCH] x\n'):
            self.check({'a': b'new\n'}, messages=['x\n', message])

    def test_file_that_arrives_twice(self):
        source = self.repository('source', [{'a': b'old\n'}, {'b': b'one\n'}, {'b': b'two\n'}])
        self.refused(source, "'b'", 'once, complete')

    def test_submodules(self):
        source = self.repository('source', [{'a': b'old\n'}])
        head = self.git(source, 'rev-parse', 'HEAD').decode().strip()
        self.git(source, 'update-index', '--add', '--cacheinfo', f'160000,{head},module')
        self.git(source, 'commit', '-qm', 'x')
        self.refused(source, 'commit')

    def test_merges_and_ranges(self):
        source = self.repository('source', [{'a': b'old\n'}, {'a': b'new\n'}])
        self.refused(source, 'no commits', revisions='HEAD..26.02')
        self.refused(source, "'nowhere' names no commit", revisions='nowhere..HEAD')
        tree = self.git(source, 'rev-parse', 'HEAD^{tree}').decode().strip()
        merge = self.git(source, 'commit-tree', tree, '-p', 'HEAD', '-p', 'HEAD~', '-m', 'merge')
        self.git(source, 'reset', '-q', '--hard', merge.decode().strip())
        self.refused(source, 'merge')
