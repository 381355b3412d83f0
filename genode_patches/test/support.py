"""Repositories that the tests make themselves, and the tools under test"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

HERE = Path(__file__).resolve().parents[1]
AUTHOR = 'Zoë Ångström-Ünal'
FILE, EXECUTABLE, LINK = '100644', '100755', '120000'


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, str(HERE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


TOOLS = {name: load(name) for name in ('apply', 'elide', 'rehash', 'verify')}


def numbered(word, count, end='\n'):
    return ''.join(f'{word} line {number}{end}' for number in range(1, count + 1)).encode()


class Repositories(unittest.TestCase):
    """A scratch folder, git without the user's configuration, and the tools under test."""

    maxDiff = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name).resolve()
        self.env = {'PATH': os.environ['PATH'], 'HOME': str(self.scratch),
                    'GIT_CONFIG_NOSYSTEM': '1'}
        (self.scratch / '.gitconfig').write_text('[core]\n\tfsync = none\n')  # saves time
        self.series = self.scratch / 'top/series'

    def git(self, repository, *arguments, stdin=b''):
        done = subprocess.run(['git', '-C', str(repository), '-c', 'user.name=x', '-c',
                               'user.email=x', *arguments], input=stdin, capture_output=True,
                              env=self.env, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def tool(self, name, *arguments, **env):
        """Status, output and errors of a tool. It runs in this process, which saves time."""
        output, errors = io.StringIO(), io.StringIO()
        status = 0
        with unittest.mock.patch.dict(os.environ, {**self.env, **env}, clear=True), \
                unittest.mock.patch.object(sys, 'argv', [name, *map(str, arguments)]), \
                contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                TOOLS[name].main()
            except SystemExit as leaving:
                status = leaving.code
        if isinstance(status, str):     # as the interpreter does it
            return 1, output.getvalue(), status
        return status, output.getvalue(), errors.getvalue()

    def repository(self, name, trees, messages=(), author=AUTHOR, zone='+0100', form='sha1'):
        """A repository with one commit per tree (path to content, or mode and content)."""
        path = self.scratch / name
        self.git(self.scratch, 'init', '-q', '-b', 'main', '--template=',
                 f'--object-format={form}', name)
        stream = []
        for number, tree in enumerate(trees):
            message = messages[number] if number < len(messages) else f'test: commit {number}\n'
            message = message.encode() if isinstance(message, str) else message
            who = f'<someone@example.org> {1700000000 + number} {zone}'
            stream.append(f'commit refs/heads/main\nmark :{number + 1}\nauthor {author} {who}\n'
                          f'committer Other {who}\ndata {len(message)}\n'.encode()
                          + message + b'\ndeleteall\n')
            for file, content in tree.items():
                mode, content = content if isinstance(content, tuple) else (FILE, content)
                quoted = ''.join(f'\\{byte:03o}' for byte in os.fsencode(file))
                stream.append(f'M {mode} inline "{quoted}"\ndata {len(content)}\n'.encode()
                              + content + b'\n')
        stream.append(b'reset refs/tags/26.02\nfrom :1\n')
        self.git(path, 'fast-import', '--quiet', stdin=b''.join(stream))
        self.git(path, 'reset', '-q', '--hard')
        return path

    def commit(self, repository, path, content):
        (repository / path).parent.mkdir(exist_ok=True)
        (repository / path).write_bytes(content)
        self.git(repository, 'add', '.')
        self.git(repository, 'commit', '-qm', f'change {path}')

    def elide(self, repository):
        status, _, errors = self.tool('elide', repository, '26.02..HEAD', '--output', self.series)
        self.assertEqual((status, errors), (0, ''))

    def apply(self, repository, *options, **env):
        status, output, errors = self.tool('apply', repository, '--series', self.series, *options,
                                           **env)
        self.assertEqual((status, errors), (0, ''))
        return output

    def elided(self, *trees, **more):
        """A repository at the last tree, and another one at the first."""
        source = self.repository('source', trees, **more)
        self.elide(source)
        return source, self.repository('target', trees[:1], **more)

    def commits(self, repository, facts='%T %an %ae %ad %B'):
        return self.git(repository, 'log', '--reverse', f'--format={facts}%x00', '26.02..HEAD')

    def files_of(self, folder):
        return {str(file.relative_to(folder)): file.read_bytes()
                for file in folder.rglob('*') if file.is_file()}

    def change(self, file, old, new):
        text = file.read_bytes()
        self.assertIn(old, text)
        file.write_bytes(text.replace(old, new, 1))

    def fingerprint(self, repository):
        """Everything that a refusal must leave alone: all but unreferenced objects."""
        files = {}
        for folder, folders, names in os.walk(repository):
            if folder.endswith('.git'):
                folders.remove('objects')
                names.remove('index')   # which also tells when git looked last
            for name in names:
                file = Path(folder, name)
                content = os.readlink(file) if file.is_symlink() else file.read_bytes()
                files[str(file)] = (file.lstat().st_mode, content)
        return files, self.git(repository, 'ls-files', '--stage')

    def assert_refused(self, repository, *words, options=()):
        before = self.fingerprint(repository)
        status, output, errors = self.tool('apply', repository, '--series', self.series, *options)
        self.assertEqual((status, output), (1, ''), errors)
        for word in words:
            self.assertIn(word, errors)
        self.assertEqual(self.fingerprint(repository), before)


class Series(Repositories):
    """A series of two patches and a file of ours"""

    TEN = numbered('old', 10)
    NEW = TEN.replace(b'old line 3\n', b'new line 3\n').replace(b'old line 8\n', b'new line 8\n')
    TREES = ({'a.cc': TEN, 'dir/b.cc': TEN}, {'a.cc': NEW, 'dir/b.cc': TEN, 'our.h': b'our\n'},
             {'a.cc': NEW, 'dir/b.cc': NEW, 'our.h': b'our\n'})

    def prepare(self):
        self.source, target = self.elided(*self.TREES)
        self.first = self.series / '0001-test-commit-1.patch'
        self.second = self.series / '0002-test-commit-2.patch'
        self.our = self.series / 'files/our.h'
        return target
