"""Patch series for Genode that quote no line of Genode: how they are read

A patch file is a mail of `git format-patch` without context and without removed lines, whose
last line is 'elided patch'. Full blob hashes pin the old and the new text of each file. A file
of ours is a header with its hash only. Its text is the plain file of that path in `files` of
the series' folder, or of the folder `common` beside it. `make_commits` fills in what a patch
leaves out, and git applies the result to an index of its own.
"""

import hashlib
import os
import re
import subprocess
import tempfile
from collections import namedtuple
from pathlib import Path

NO_BLOB = '0' * 40
NO_NEWLINE = b'\\ No newline at end of file\n'

# Modes and hashes are strings, a mode is None where there is no file.
Change = namedtuple('Change', 'path old_mode new_mode old new hunks')
Hunk = namedtuple('Hunk', 'header old_start old_count added')
Patch = namedtuple('Patch', 'name author mail date message changes')


class Refused(Exception):
    """The tool will not do it; the text says why."""


def blob_hash(content):
    return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


def lines_of(content):
    """Lines with their newlines; bytes.splitlines would also split at carriage returns."""
    return re.findall(rb'[^\n]*\n|[^\n]+', content)


def shown(line):
    return repr(line.decode('utf-8', 'backslashreplace').rstrip('\n'))


class Repository:
    """A git repository that speaks English, whatever repository the caller is in."""

    def __init__(self, directory, **more):
        kept = ('GIT_COMMITTER_', 'GIT_CONFIG')
        self.environment = {**{key: value for key, value in os.environ.items()
                               if not key.startswith('GIT_') or key.startswith(kept)},
                            'LC_ALL': 'C', 'GIT_LITERAL_PATHSPECS': '1', **more}
        self.top = directory
        self.top = self.line('rev-parse', '--show-toplevel')

    def git(self, *arguments, stdin=b'', **more):
        done = subprocess.run(['git', '-C', str(self.top), *arguments], input=stdin,
                              capture_output=True, check=False, env={**self.environment, **more})
        if done.returncode:
            reason = done.stderr.decode('utf-8', 'replace').strip()
            name = next(word for word in arguments if not word.startswith('-') and '=' not in word)
            raise Refused(f'git {name}: {reason or "failed"}')
        return done.stdout

    def line(self, *arguments, **more):
        return self.git(*arguments, **more).decode('utf-8', 'surrogateescape').rstrip('\n')

    def holds(self, *arguments):
        try:
            self.git(*arguments)
            return True
        except Refused:
            return False

    def commit(self, revision):
        try:
            return self.line('rev-parse', '--verify', '--quiet', '--end-of-options',
                             revision + '^{commit}')
        except Refused:
            raise Refused(f'{revision!r} names no commit of {self.top}') from None


class Reader:
    """The lines of a patch file, taken one by one."""

    def __init__(self, name, text):
        self.name, self.lines, self.number = name, lines_of(text), 0

    def accept(self, pattern):
        line = self.lines[self.number] if self.number < len(self.lines) else b''
        match = re.fullmatch(pattern + rb'\n', line)
        self.number += bool(match)
        return match

    def take(self, pattern, what):
        match = self.accept(pattern)
        if not match:
            found = (shown(self.lines[self.number]) if self.number < len(self.lines)
                     else 'the end (truncated?)')
            raise Refused(f'{self.name}, line {self.number + 1}: expected {what}, found {found}')
        return match

    def message(self):
        """Author, mail, date and message, as `git mailinfo` understands the mail's head."""
        while not self.accept(rb'---'):
            self.take(rb'.*', "'---' behind the message")
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(['git', 'mailinfo', '-b', '--no-scissors', '--encoding=UTF-8',
                                   'body', 'patch'], cwd=folder, capture_output=True, check=False,
                                  input=b''.join(self.lines[:self.number]))
            facts = dict(re.findall('^(Author|Email|Subject|Date): (.+)$',
                                    done.stdout.decode('utf-8', 'replace'), re.MULTILINE))
            if done.returncode or len(facts) < 4:
                raise Refused(f'{self.name}: the mail lacks author, date or subject')
            body = Path(folder, 'body').read_text(encoding='utf-8').strip('\n')
        message = facts['Subject'] + '\n' + (f'\n{body}\n' if body else '')
        return facts['Author'], facts['Email'], facts['Date'], message

    def hunk(self):
        match = self.take(rb'@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@',
                          "'@@ -a,b +c,d @@' with nothing behind it")
        count = int(match[3] or 1)
        added = [self.take(rb'\+.*', f"one of {count} lines with '+'")[0] for _ in range(count)]
        if added and self.accept(re.escape(NO_NEWLINE[:-1])):
            added.append(NO_NEWLINE)
        return Hunk(match[0], int(match[1]), int(match[2] or 1), added)

    def change(self):
        path = self.take(rb'diff --git a/(.+) b/\1', "'diff --git a/PATH b/PATH' or '-- '")[1]
        mode = rb'(100644|100755|120000)'
        new, gone = self.accept(rb'new file mode ' + mode), self.accept(rb'deleted file mode ' + mode)
        before = self.accept(rb'old mode ' + mode)
        after = before and self.take(rb'new mode ' + mode, "'new mode'")
        index = self.take(rb'index ([0-9a-f]{40})\.\.([0-9a-f]{40})(?: ' + mode + rb')?',
                          'an index line with two full hashes')
        same = index[3] and index[3].decode()
        hunks = []
        if not new and not gone and self.accept(rb'--- a/.*'):
            self.take(rb'\+\+\+ b/.*', "'+++ b/PATH'")
            while self.number < len(self.lines) and self.lines[self.number].startswith(b'@@'):
                hunks.append(self.hunk())
        return Change(path, None if new else (gone or before)[1].decode() if gone or before else same,
                      None if gone else (new or after)[1].decode() if new or after else same,
                      index[1].decode(), index[2].decode(), hunks)

    def changes(self):
        while not self.accept(rb'-- '):
            yield self.change()
        self.take(rb'elided patch', "'elided patch'")
        if self.number < len(self.lines):
            raise Refused(f'{self.name}, line {self.number + 1}: something follows the end')


def read_patch(file):
    try:
        reader = Reader(file.name, file.read_bytes())
    except OSError as error:
        raise Refused(f'{file.name}: {error.strerror}') from None
    return Patch(file.name, *reader.message(), list(reader.changes()))


def read_series(folder):
    """The base commit, its tag or None, and the patches in order."""
    try:
        text = (folder / 'series').read_text(encoding='utf-8')
    except OSError as error:
        raise Refused(f'{folder}: cannot read the series: {error.strerror}') from None
    match = re.fullmatch(r'base-commit: ([0-9a-f]{40})\n(?:base-tag: (\S+)\n)?'
                         r'((?:\w[\w.-]*\.patch\n)*)', text)
    if not match:
        raise Refused(f'{folder}/series: not a base-commit, a base-tag, and names of patches')
    return match[1], match[2], [read_patch(folder / name) for name in match[3].split()]


def plain_file(folder, path):
    """Where the text of a file of ours lies."""
    path = os.fsdecode(path)
    places = [place / 'files' / path for place in (folder, folder.parent / 'common')]
    found = [place for place in places if place.is_file()]
    if len(found) != 1:
        fault = 'lies in the series and in common' if found else 'no such file of ours'
        raise Refused(f'{path}: {fault}')
    return found[0]


def check_old(index, changes):
    """Refuse a patch whose old texts are not those of the index."""
    entries = index.git('ls-files', '--stage', '-z', '--', *{change.path for change in changes})
    found = {path: facts.decode().split(' ')[:2] for facts, path in
             (entry.split(b'\t', 1) for entry in entries.split(b'\0')[:-1])}
    for change in changes:
        has = found.get(change.path, [None, NO_BLOB])
        if has != [change.old_mode, change.old]:
            hint = ' (is the series applied already?)' if has[1] == change.new else ''
            raise Refused(f'{shown(change.path)}: expected {described(change.old_mode, change.old)}, '
                          f'found {described(*has)}{hint}')
        if not change.new_mode:         # another file may take its place
            found[change.path] = [None, NO_BLOB]


def check_new(index, parent, changes):
    """Refuse a patch that does not lead to exactly the texts that it names."""
    fields = index.git('diff-index', '--cached', '--raw', '-z', '--no-renames', '--no-abbrev',
                       parent).decode('utf-8', 'surrogateescape').split('\0')
    found = {path: facts.split(' ')[1:4:2] for facts, path in zip(fields[::2], fields[1::2])}
    expected = {os.fsdecode(change.path): [change.new_mode or '000000', change.new]
                for change in changes}
    for path in sorted(expected.keys() | found.keys()):
        if found.get(path) != expected.get(path):
            raise Refused(f'{path}: the result should be {expected.get(path)}, '
                          f'it is {found.get(path)}')


def described(mode, digest):
    return f'blob {digest} with mode {mode}' if mode else 'no such file'


def refilled(repository, change):
    """The change of a file of Genode with the lines that it removes."""
    tab = b'\t' if b' ' in change.path else b''
    text = [b'--- a/%s%s\n+++ b/%s%s\n' % (change.path, tab, change.path, tab)]
    lines = lines_of(repository.git('cat-file', 'blob', change.old))
    for hunk in change.hunks:
        removed = lines[hunk.old_start - 1:][:hunk.old_count] if hunk.old_count else []
        if len(removed) != hunk.old_count:
            raise Refused(f'{shown(hunk.header)} reaches beyond the end of {shown(change.path)}')
        text += [hunk.header, *(b'-' + line for line in removed)]
        if removed and not removed[-1].endswith(b'\n'):
            text += [b'\n', NO_NEWLINE]
        text += hunk.added
    return b''.join(text)


def stage(index, folder, changes):
    """Do to an index what a patch says."""
    text, gone, new = b'', [], []
    for change in changes:
        if not change.new_mode:
            gone.append(f'0 {NO_BLOB}\t'.encode() + change.path + b'\0')
        elif not change.old_mode:
            content = plain_file(folder, change.path).read_bytes()
            if blob_hash(content) != change.new:
                raise Refused(f'{shown(change.path)}: expected {change.new}, found '
                              f'{blob_hash(content)} (edited? then: genode_patches/rehash)')
            index.git('hash-object', '-w', '--stdin', '--no-filters', stdin=content)
            new.append(f'{change.new_mode} {change.new}\t'.encode() + change.path + b'\0')
        else:
            text += refilled(index, change) if change.hunks else b''
    if text:
        index.git('-c', 'apply.ignoreWhitespace=no', '-c', 'core.autocrlf=false', 'apply',
                  '--cached', '--unidiff-zero', '--whitespace=nowarn', stdin=text)
    for change in changes:
        if change.old_mode and change.new_mode and change.old_mode != change.new_mode:
            digest = index.git('ls-files', '--stage', '--', change.path).split(b' ')[1]
            new.append(change.new_mode.encode() + b' ' + digest + b'\t' + change.path + b'\0')
    index.git('update-index', '-z', '--index-info', stdin=b''.join(gone + new))


def identity(repository, patch):
    """The author is that of the patch, the committer the user, or the author if unknown."""
    names = {'GIT_AUTHOR_NAME': patch.author, 'GIT_AUTHOR_EMAIL': patch.mail,
             'GIT_AUTHOR_DATE': patch.date}
    if not repository.holds('-c', 'user.useConfigOnly=true', 'var', 'GIT_COMMITTER_IDENT'):
        names.update(GIT_COMMITTER_NAME=patch.author, GIT_COMMITTER_EMAIL=patch.mail)
    return names


def make_commits(repository, folder, start, patches):
    """Commits for the patches on top of `start`. Nothing refers to them yet."""
    commits = [start]
    with tempfile.TemporaryDirectory() as scratch:
        index = Repository(repository.top, GIT_INDEX_FILE=os.path.join(scratch, 'index'))
        index.git('read-tree', start)
        for patch in patches:
            try:
                check_old(index, patch.changes)
                stage(index, folder, patch.changes)
                check_new(index, commits[-1], patch.changes)
            except Refused as reason:
                raise Refused(f'{patch.name}: {reason}') from None
            commits.append(index.line('commit-tree', index.line('write-tree'), '-p', commits[-1],
                                      stdin=patch.message.encode(), **identity(index, patch)))
    return commits[1:]
