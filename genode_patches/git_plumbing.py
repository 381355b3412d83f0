"""The few calls to git that the patch tools make

Content and tree are read from the object database, never from the work tree: filters
and line-end conversion of the user's configuration have no say in them.
"""

import os
import subprocess
import tempfile

from elided_patch import Blob, Refused, printable


def _environment() -> dict:
    """git speaks English, and whatever repository a caller is in is not ours."""
    kept = ('GIT_COMMITTER_', 'GIT_CONFIG')
    return {**{key: value for key, value in os.environ.items()
               if not key.startswith('GIT_') or key.startswith(kept)}, 'LC_ALL': 'C'}


def folders_of(path: bytes) -> list:
    parts = path.split(b'/')
    return [b'/'.join(parts[:count]) for count in range(1, len(parts))]


class Repository:
    """A git repository with a work tree."""

    def __init__(self, directory: str):
        self._directory = directory
        self.top = self.line('rev-parse', '--show-toplevel')
        self._directory = self.top

    def git(self, *arguments, stdin: bytes = b'', **environment) -> bytes:
        done = subprocess.run(['git', '--no-optional-locks', '-C', self._directory, *arguments],
                              input=stdin, capture_output=True, check=False,
                              env={**_environment(), **environment})
        if done.returncode:
            reason = done.stderr.decode('utf-8', 'replace').strip() or 'no reason given'
            raise Refused(f'git {arguments[0]}: {reason}')
        return done.stdout

    def line(self, *arguments, **more) -> str:
        return self.git(*arguments, **more).decode('utf-8', 'surrogateescape').rstrip('\n')

    def commit(self, revision: str) -> str:
        """The full hash of the commit that `revision` names."""
        try:
            return self.line('rev-parse', '--verify', '--quiet', '--end-of-options',
                             revision + '^{commit}')
        except Refused:
            raise Refused(f'{revision!r} names no commit of {self.top}') from None

    def is_ancestor(self, old: str, new: str) -> bool:
        try:
            return old in (new, self.line('merge-base', old, new))
        except Refused:
            return False

    def tree(self, revision: str) -> dict:
        """Path to Blob, for all files of a commit."""
        files = {}
        for entry in self.git('ls-tree', '-r', '-z', '--full-tree', revision).split(b'\0')[:-1]:
            facts, path = entry.split(b'\t', 1)
            mode, _, digest = facts.decode().split(' ')
            files[path] = Blob(mode, digest)
        return files

    def blob(self, digest: str) -> bytes:
        return self.git('cat-file', 'blob', digest)

    def write_object(self, kind: str, content: bytes) -> str:
        return self.line('hash-object', '-w', '-t', kind, '--stdin', stdin=content)

    def refuse_dirty(self) -> None:
        """Files that git does not track are no obstacle, as long as they are not in the way."""
        status = self.git('status', '--porcelain', '-z', '--untracked-files=no')
        if status:
            first = printable(status.split(b'\0')[0])
            raise Refused(f'{self.top} has changes that are not committed: {first}')

    def refuse_untracked(self, new_paths) -> None:
        """Git would overwrite ignored files without a word: look before new files arrive."""
        untracked = set(self.git('ls-files', '--others', '-z').split(b'\0')[:-1])
        folders = {folder for path in untracked for folder in folders_of(path)}
        for path in sorted(new_paths):
            if path in folders or not untracked.isdisjoint([path, *folders_of(path)]):
                raise Refused(f'{printable(path)}: an untracked file is in the way')

    def write_trees(self, base: str, steps) -> list:
        """Tree hashes after each of `steps`, lists of (path, Blob or None), from `base` on."""
        trees = []
        with tempfile.TemporaryDirectory() as scratch:
            index = {'GIT_INDEX_FILE': os.path.join(scratch, 'index')}
            self.git('read-tree', base, **index)
            for step in steps:
                entries = [(f'{blob.mode} {blob.hash}' if blob else f'0 {"0" * 40}').encode()
                           + b'\t' + path + b'\0' for path, blob in step]
                self.git('update-index', '-z', '--index-info', stdin=b''.join(entries), **index)
                trees.append(self.line('write-tree', **index))
        return trees

    def move_head(self, old: str, new: str, reason: str) -> None:
        """Move HEAD, index and work tree from one commit to the other, or nothing at all."""
        self.git('update-index', '--refresh')
        self.git('read-tree', '-m', '-u', old, new)
        try:
            self.git('update-ref', '-m', reason, 'HEAD', new, old)
        except Refused:
            self.git('read-tree', '-m', '-u', new, old)
            raise
