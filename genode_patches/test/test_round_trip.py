"""What `elide` makes of commits, `apply` makes the same commits of"""

import os
import random
import re

from support import AUTHOR, EXECUTABLE, FILE, LINK, Repositories, Series, numbered
from series import lines_of


class RoundTrip(Repositories):
    """elide, apply, elide: same trees, authors and messages, and the same files"""

    KEPT = {'keep.cc': numbered('kept', 3)}

    def check(self, *trees, **more):
        source, target = self.elided(*trees, **more)
        old = {line.strip() for tree in trees[:1] for entry in tree.values()
               for line in (entry[1] if isinstance(entry, tuple) else entry).split(b'\n')}
        for file in self.series.glob('*.patch'):
            lines = file.read_bytes().split(b'\n')
            added = {line[1:].strip() for line in lines if line.startswith(b'+')}
            self.assertFalse((old - added - {b''}).intersection(lines))
            self.assertFalse([line for line in lines if re.match(rb'@@ .* @@.|- ', line)])
        self.apply(target)
        self.assertEqual(self.commits(target), self.commits(source))
        self.assertEqual(self.git(target, 'status', '--porcelain'), b'')
        self.git(target, 'fsck', '--strict', '--no-dangling')
        before = self.files_of(self.series)
        self.elide(target)
        self.assertEqual(self.files_of(self.series), before)
        return target

    def change_of(self, before, after):
        return self.check({**self.KEPT, **before}, {**self.KEPT, **after})

    def test_files(self):
        old, new = numbered('old', 9), numbered('new', 5)
        target = self.change_of({'gone/x': old, 'avl.h': old, 'map.h': old, 'emptied': old,
                                 'filled': b'', 'void': b''},
                                {'src/new.cc': new, 'flat.h': new, 'map.h': new, 'emptied': b'',
                                 'filled': new, 'fresh': b''})
        self.assertFalse((target / 'gone').exists())
        self.assertEqual((self.series / 'files/src/new.cc').read_bytes(), new)
        patch = (self.series / '0001-test-commit-1.patch').read_bytes()
        self.assertNotIn(b'new line 5\n+++', patch)
        self.assertRegex(patch, rb'new file mode 100644\nindex 0{40}\.\.[0-9a-f]{40}\ndiff ')

    def test_lines(self):
        lines = lines_of(numbered('old', 9))
        new, text = [b'between\n'], b''.join
        self.change_of({name: text(lines) for name in 'abcdef'},
                       {'a': text(new + lines), 'b': text(lines + new), 'c': text(lines[2:]),
                        'd': text(lines[:-2]), 'e': text(lines[:3] + new + lines[3:]),
                        'f': text(lines[:3] + lines[5:6] + lines[8:])})

    def test_modes(self):
        old = numbered('tool', 3)
        target = self.change_of({'tool': old, 'both': old, 'a': (EXECUTABLE, old)},
                                {'tool': (EXECUTABLE, old), 'both': (EXECUTABLE, old[:-12]),
                                 'a': (FILE, old), 'c': (EXECUTABLE, b'new c\n')})
        self.assertTrue(os.access(target / 'tool', os.X_OK))

    def test_symbolic_links(self):
        self.change_of({'turns': (LINK, b'target/before'), 'to_file': (LINK, b'target/gone'),
                        'to_link': numbered('file', 3)},
                       {'turns': (LINK, b'target/after'), 'to_file': b'now a file\n',
                        'to_link': (LINK, b'keep.cc'), 'fresh': (LINK, b'../elsewhere')})

    def test_final_newline(self):
        old = b'first here\nlast here'
        self.change_of({'old': old, 'new': old + b'\n', 'both': old, 'far': old, 'gone': old,
                        'longer': old, 'shorter': old},
                       {'old': old + b'\n', 'new': old, 'both': b'first here\nother end',
                        'far': b'other start\nlast here', 'longer': old + b'\nand more',
                        'shorter': b'first here\n', 'fresh': b'no newline'})

    def test_unusual_bytes(self):
        looks = b'-- \n---\n+++ b/x\n@@ -1,1 +1,1 @@\ndiff --git a/x b/x\n\\ No newline\n'
        self.change_of({'a': numbered('dos', 4, '\r\n'), 'b': numbered('unix', 3), 'c': b'lone\rend',
                        'x': b'start\nend\n', 'y': looks, 'z': b'caf\xe9 one\nleft\n'},
                       {'a': numbered('dos', 3, '\r\n'), 'b': numbered('unix', 3, '\r\n'),
                        'c': b'lone\rend\r', 'd': b'\r\r\n\r', 'x': b'start\n' + looks + b'end\n',
                        'y': b'else\n', 'w': looks, 'z': b'caf\xe9 two\nleft\n', 'v': b'\xff\xfe'})

    def test_unusual_names(self):
        names = ['with space', ' b/x b/y', 'tail ', 'ünïcode/ß', "a'b$(c);*?", '-dash', 'a->b']
        self.change_of({name: numbered('old', 3) for name in names},
                       {**{name: numbered('new', 2) for name in names}, 'new file': b'new\n'})

    def test_file_and_folder_change_places(self):
        self.change_of({'x': b'old x\n', 'y/z': b'old z\n', 'y/w': b'old w\n'},
                       {'x/z': b'new z\n', 'y': b'new y\n'})

    def test_later_patches_build_on_earlier_ones(self):
        one, two, three = (numbered(word, 3) for word in ('one', 'two', 'three'))
        self.check({'a': one}, {'a': two}, {'a': two, 'b': three}, {'a': two, 'b': three},
                   {'a': one + two, 'b': three})

    def test_messages(self):
        body = '    indented\n\n\ttab\n> quoted\n.\nGrüße, 你好\n'
        messages = [f'{subject}\n\n{body}' for subject in (
            'base', 'base-foc: ' + 'very long subject ' * 9 + 'end', 'ünïcöde ' + 'w' * 99,
            'dots... (and) more/than')] + ['alone\n']
        self.check(*({'a': numbered(f'version {number}', 3)} for number in range(5)),
                   messages=messages)
        self.assertIn('0003-dots.-and-more-than.patch', self.files_of(self.series))

    def test_times_and_authors(self):
        for author, zone in (('x', '-0330'), ('J. R. Q', '+0000'), ('李 明', '+1400'),
                             ("O'Neil", '+0545')):
            with self.subTest(author=author, zone=zone):
                self.setUp()
                self.check({'a': b'old\n'}, {'a': b'new\n'}, author=author, zone=zone)

    def test_random_edits(self):
        dice = random.Random(26.02)
        for number in range(12):        # times 5 files, of which each has up to 4 edits
            with self.subTest(series=number):
                self.setUp()
                tree = random_tree(dice, {})
                self.check(tree, random_tree(dice, tree))


def random_line(dice):
    end = dice.choice([b'\n'] * 6 + [b'\r\n', b'\r\r\n'])
    return b'%s%08x' % (dice.choice([b'', b'-', b'+', b'@@ ', b'\\ ']), dice.getrandbits(32)) + end


def random_text(dice, text):
    """Some insertions and removals, and sometimes a final newline less."""
    lines = lines_of(text)
    for _ in range(dice.randint(0, 4)):
        place, gone = dice.randint(0, len(lines)), dice.choice([0, 0, 1, 3])
        lines[place:place + gone] = [random_line(dice) for _ in range(dice.randint(0, 3))]
    text = b''.join(line if line.endswith(b'\n') else line + b'\n' for line in lines)
    return text[:-1] if dice.random() < 0.2 else text


def random_tree(dice, tree):
    """Another tree: each of a few files may appear, go, change content, mode or type."""
    tree = {path: dice.choice([entry] * 9 + [None]) for path, entry in tree.items()}
    for path in dice.sample(['a', 'b c', 'dir/e', 'dir/f', 'g', 'h', 'i/j/k'], 5):
        mode, content = tree.get(path) or (FILE, b''.join(random_line(dice) for _ in range(12)))
        mode = dice.choice([mode, mode, FILE, EXECUTABLE, LINK])
        content = random_text(dice, content)
        tree[path] = (mode, content if mode != LINK else b'%08x' % dice.getrandbits(32))
    return {path: entry for path, entry in tree.items() if entry}


class Surroundings(Series):
    """Identity, configuration, place, and what git makes of the result"""

    def test_committer(self):
        target = self.prepare()
        for env, name in (({'GIT_COMMITTER_NAME': 'Me', 'GIT_COMMITTER_EMAIL': 'me@x'}, 'Me me@x'),
                          ({}, f'{AUTHOR} someone@example.org'),
                          ({'EMAIL': 'host@example.org'}, f'{AUTHOR} someone@example.org')):
            self.apply(target, **env)
            self.assertEqual(self.commits(target, '%an %cn %ce'),
                             f'{AUTHOR} {name}\0\n'.encode() * 2)
            self.git(target, 'reset', '-q', '--hard', '26.02')

    def test_ordinary_mails(self):
        target = self.prepare()
        self.apply(target)
        mail = self.git(target, 'format-patch', '--stdout', '26.02')
        self.assertIn(b'-old line 3\n', mail)
        self.git(target, 'reset', '-q', '--hard', '26.02')
        self.git(target, 'am', '-q', stdin=mail)
        self.assertEqual(self.commits(target), self.commits(self.source))

    def test_configuration_does_not_matter(self):
        target = self.prepare()
        before = self.files_of(self.series)
        (self.scratch / 'attributes').write_text('* -diff\n')
        for repository in (self.source, target):
            for setting in ('diff.noprefix=true', 'diff.context=9', 'color.ui=always',
                            'diff.interHunkContext=9', 'diff.algorithm=patience',
                            'diff.external=false', 'diff.renames=copies', 'core.autocrlf=input',
                            f'core.attributesFile={self.scratch}/attributes',
                            'apply.whitespace=fix', 'log.showSignature=true'):
                self.git(repository, 'config', *setting.split('='))
        self.elide(self.source)
        self.assertEqual(self.files_of(self.series), before)
        self.apply(target)
        self.assertEqual(self.commits(target), self.commits(self.source))

    def test_line_end_conversion_stays_out_of_the_commits(self):
        source, target = self.elided({'a': b'old\r\nkept\r\n'}, {'a': b'new \r\nkept\r\n', 'b': b'\r\n'})
        self.git(target, 'config', 'core.autocrlf', 'input')
        self.apply(target)
        self.assertEqual(self.commits(target), self.commits(source))

    def test_environment_of_another_repository(self):
        target = self.prepare()
        self.apply(target, GIT_DIR=f'{self.source}/.git', GIT_INDEX_FILE=f'{self.source}/.git/index')
        self.assertEqual(self.commits(target), self.commits(self.source))

    def test_subfolder_and_detached_head(self):
        target = self.prepare()
        self.git(target, 'checkout', '-q', '--detach')
        self.apply(target / 'dir')
        self.assertEqual(self.git(target, 'rev-parse', 'HEAD~2'),
                         self.git(target, 'rev-parse', 'main'))

    def test_untracked_and_other_commits_are_no_obstacle(self):
        target = self.prepare()
        self.commit(target, 'local', b'local\n')
        (target / 'dir/build').write_bytes(b'untracked\n')
        os.utime(target / 'a.cc', (1, 1))       # touched, but not changed
        self.apply(target)
        self.assertEqual((target / 'a.cc').read_bytes(), self.NEW)
        self.assertEqual((target / 'dir/build').read_bytes(), b'untracked\n')

    def test_base_without_tag(self):
        target = self.prepare()
        base = self.git(self.source, 'rev-parse', '26.02').decode().strip()
        self.git(self.source, 'tag', '-d', '26.02')
        self.assertEqual(self.tool('elide', self.source, f'{base}..main', '--output',
                                   self.series)[0], 0)
        self.assertNotIn('tag', (self.series / 'series').read_text())
        self.apply(target)

    def test_an_earlier_series_is_replaced(self):
        self.prepare()
        (self.series / '0007-stale.patch').touch()
        (self.series / 'notes').touch()
        self.elide(self.source)
        self.assertEqual(sorted(self.files_of(self.series)),
                         [self.first.name, self.second.name, 'files/our.h', 'fingerprints', 'notes',
                          'series'])

    def test_a_file_of_ours_stays_where_it_is(self):
        self.prepare()
        header = self.scratch / 'header.h'
        self.our.rename(header)
        self.our.symlink_to(header)
        self.commit(self.source, 'fresh.h', b'fresh\n')
        self.git(self.source, 'reset', '-q', '--soft', 'HEAD~3')
        (self.source / 'our.h').write_bytes(b'edited\n')
        self.git(self.source, 'commit', '-qam', 'all')
        self.elide(self.source)
        self.assertEqual(header.read_bytes(), b'edited\n')
        self.assertTrue((self.series / 'files/fresh.h').is_file())
